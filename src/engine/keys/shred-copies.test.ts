/** Of a repository in several places every one is asked before anything is promised; what does not answer is not taken for gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { syncRepository } from '../../repository/mirrors/sync.ts'
import { createMirroredExample, type ExamplePlace } from '../../repository/mirrors/testing/mirrored-example.ts'
import type { ObjectStore, StoredVersion } from '../../storage/object-store.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { shredCluster } from './shred.ts'

const KEY = 'clusters/main/keys/00000001'
const confirmed = { cluster: 'main', confirm: 'main', by: 'ann@host' }
const soon = new Date(Date.now() + 86_400_000)
const later = new Date(Date.now() + 2 * 86_400_000)

/** What a bucket would say of what lies in a memory. */
function bucketLike({ memory }: ExamplePlace, change: (version: StoredVersion) => StoredVersion): void {
  const versions = async (prefix: string) =>
    (await Array.fromAsync(memory.list(prefix))).map(({ key }) => change({ key, versionId: 'v1', hasLegalHold: false }))
  Object.assign(memory satisfies ObjectStore, { versions })
}

async function setUp(names: readonly string[]) {
  const mirrored = await createMirroredExample(names)
  {
    await using repository = await mirrored.open()
    await syncRepository({ repository, setUp: true })
  }
  const place = (name: string): ExamplePlace => {
    const found = mirrored.places.find((one) => one.name === name)
    assert(found)
    return found
  }
  return {
    place,
    open: async () => assembleRetake(retakeSettings({}), await mirrored.open()),
    async assertUntouched() {
      for (const { memory } of mirrored.places) {
        assert.equal(await memory.head('clusters/main/shred/begun'), undefined)
        assert.ok(await memory.head(KEY))
      }
    },
  }
}

const refusal = async (retake: Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>['open']>>) => {
  const error: unknown = await shredCluster(retake, confirmed).catch((thrown: unknown) => thrown)
  assert(isRetakeError(error), String(error))
  const planned = await shredCluster(retake, { ...confirmed, dryRun: true }).catch((thrown: unknown) => thrown)
  assert(isRetakeError(planned, error.code), 'a plan refuses alike')
  return error
}

test('a lock or a legal hold in any copy refuses, and is named with its copy and its end', async () => {
  const { place, open, assertUntouched } = await setUp(['origin', 'north', 'south'])
  bucketLike(place('north'), (version) => ({ ...version, lockedUntil: soon }))
  bucketLike(place('south'), (version) => ({ ...version, lockedUntil: later, hasLegalHold: true }))
  await using retake = await open()
  const error = await refusal(retake)
  assert.equal(error.code, 'storage.locked')
  assert.equal(error.details.until, later.toISOString())
  assert.match(error.message, new RegExp(`"north".*${KEY} \\(version v1\\) locked until ${soon.toISOString()}`))
  assert.match(error.message, new RegExp(`"south".*locked until ${later.toISOString()} and under a legal hold`))
  assert.match(error.hint ?? '', /legal hold/)
  await assertUntouched()
})

test('a legal hold alone has no end', async () => {
  const { place, open, assertUntouched } = await setUp(['origin', 'north'])
  bucketLike(place('north'), (version) => ({ ...version, lockedUntil: new Date(0), hasLegalHold: true }))
  await using retake = await open()
  const error = await refusal(retake)
  assert.deepEqual([error.code, error.details.until], ['storage.locked', undefined])
  assert.doesNotMatch(error.message, /locked until/)
  await assertUntouched()
})

test('a copy that is away, does not say, is stale or is not configured refuses with the next step', async () => {
  const { place, open, assertUntouched } = await setUp(['origin', 'north', 'south'])
  const north = place('north')
  {
    await using retake = await open()
    const denied = new RetakeError('storage.denied', 'refused', { hint: 'Allow s3:GetObjectLegalHold.' })
    Object.assign(north.memory, { versions: () => Promise.reject(denied) })
    const error = await refusal(retake)
    assert.deepEqual([error.code, error.hint], ['storage.denied', 'Allow s3:GetObjectLegalHold.'])
    Object.assign(north.memory, { versions: undefined })
  }
  {
    await using retake = await open()
    north.gate.state = 'down'
    const error = await refusal(retake)
    assert.match(error.message, /"north".*cannot be reached/)
    assert.match(error.hint ?? '', /every copy/)
    // Something is written without it.
    await retake.repository.store.create('clusters/main/runs/x', Buffer.from('x'))
    north.gate.state = 'up'
  }
  {
    await using retake = await open()
    const error = await refusal(retake)
    assert.match(error.message, /"north" has not caught up/)
    assert.match(error.hint ?? '', /retake repo sync/)
    await syncRepository({ repository: retake.repository })
  }
  await assertUntouched()
  await using retake = await open()
  const { outcome, copies } = await shredCluster(retake, confirmed)
  assert.equal(outcome, 'shredded')
  assert.deepEqual(
    copies.map(({ copy, objects }) => [copy, objects]),
    ['origin', 'north', 'south'].map((name) => [name, 1]),
  )
})

test('versions that are left are said, and no proof of completion is written', async () => {
  const { place, open } = await setUp(['origin', 'north'])
  const { memory } = place('north')
  const hidden: StoredVersion = { key: KEY, versionId: 'v1', hasLegalHold: false }
  Object.assign(memory, { versions: async () => [hidden] })
  {
    await using retake = await open()
    const left = (error: unknown) =>
      isRetakeError(error, 'storage.denied') && /"north".*still stores 1 versions/.test(error.message)
    await assert.rejects(shredCluster(retake, confirmed), left)
    assert.equal(await memory.head('clusters/main/shred/done'), undefined)
    await assert.rejects(shredCluster(retake, confirmed), left)
  }
  Object.assign(memory, { versions: async () => [] })
  await using retake = await open()
  assert.ok((await shredCluster(retake, confirmed)).proof?.doneAt)
})
