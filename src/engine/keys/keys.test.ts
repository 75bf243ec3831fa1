/** Keys through the verbs of the library, without a server. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { generateKey, type KeyMaterial } from '../../repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../../repository/keys/key-text.ts'
import { createRepository, openRepository } from '../../repository/repository.ts'
import { CHEAP_SCRYPT, createExampleRepository, exampleFacts } from '../../repository/testing/example-repository.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { copyStore } from '../../storage/testing/copy-store.ts'
import { FaultyStore } from '../../storage/testing/faulty-store.ts'
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts'
import type { Config } from '../config-options.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { prune } from '../prune.ts'
import { addKey } from './add-key.ts'
import { readKeysStatus } from './keys-status.ts'
import { reEncrypt } from './re-encrypt.ts'
import { recommend } from './recommendations.ts'
import { retireKeys } from './retire-keys.ts'
import { rotateData } from './rotate-data.ts'
import { rotateMaster } from './rotate-master.ts'
import { judgeRotation } from './rotation-policy.ts'

const DAY_MS = 86_400_000
const code = (expected: string) => (error: unknown) => isRetakeError(error) && error.code === expected

function clockAt(iso: string): Clock {
  return { ...systemClock, now: () => new Date(iso), monotonicMs: () => 0 }
}

interface OpenOptions extends Config {
  readonly directory?: string
  readonly clock?: Clock
}

const open = async (store: ObjectStore, key: KeyMaterial, options: OpenOptions = {}) =>
  assembleRetake(retakeSettings(options), await openRepository(store, key, { clock: options.clock }))

async function made(clock?: Clock) {
  const store = createMemoryStore()
  const key = generateKey()
  const repository = await createRepository(store, key, { label: 'first', clock })
  await repository.registerCluster(exampleFacts)
  return { store, key }
}

test('a key is due when as many days have passed as the policy says, and never without one', () => {
  const now = new Date('2026-11-22T09:00:00.000Z')
  assert.deepEqual(judgeRotation('2026-11-12T09:00:00.000Z', { days: undefined, now }), { due: false })
  assert.deepEqual(judgeRotation('2026-11-12T09:00:00.000Z', { days: 10, now }), {
    due: true,
    dueAt: now.toISOString(),
  })
  assert.deepEqual(judgeRotation('2026-11-12T09:00:00.001Z', { days: 10, now }), {
    due: false,
    dueAt: '2026-11-22T09:00:00.001Z',
  })
  assert.deepEqual(judgeRotation('', { days: 10, now }), { due: false })
})

test('data and master keys are rotated when they are due, and not before', async () => {
  const { store, key } = await made(clockAt('2026-01-01T00:00:00.000Z'))
  const early = await open(store, key, { keyRotationDays: 90, clock: clockAt('2026-03-01T00:00:00.000Z') })
  const late = await open(store, key, { keyRotationDays: 90, clock: clockAt('2026-04-02T00:00:00.000Z') })
  const source = async () => ({ kind: 'text', text: formatKeyText(generateKey().bytes) }) as const
  assert.equal((await rotateData(early, { ifDue: true })).outcome, 'not-due')
  assert.equal((await rotateMaster(early, { ifDue: true, source })).outcome, 'not-due')
  const status = await readKeysStatus(late)
  assert.deepEqual(
    [status.holders[0]?.due, status.clusters[0]?.due, status.clusters[0]?.dueAt],
    [true, true, '2026-04-01T00:00:00.000Z'],
  )
  assert.deepEqual(await rotateData(late, { ifDue: true, dryRun: true }), {
    cluster: 'main',
    outcome: 'planned',
    epoch: 2,
    dueAt: '2026-04-01T00:00:00.000Z',
  })
  assert.equal((await rotateData(late, { ifDue: true })).outcome, 'created')
  assert.equal((await rotateData(late, { ifDue: true })).outcome, 'not-due', 'the new one is young')
  assert.equal((await rotateMaster(late, { ifDue: true, source })).outcome, 'rotated')
})

test('adding the same key again is harmless, and a file is not written over', async () => {
  await using directory = await temporaryDirectory()
  const { store, key } = await made()
  const retake = await open(store, key, { directory: directory.path })
  const first = await addKey(retake, { source: { kind: 'new-file', file: 'key' }, label: 'a' })
  const again = await addKey(retake, { source: { kind: 'new-file', file: 'key' } })
  assert.deepEqual([first.outcome, again.outcome, again.holder], ['created', 'exists', first.holder])
  const foreign = await open((await made()).store, key, { directory: directory.path }).catch((error: unknown) => error)
  assert.ok(isRetakeError(foreign, 'key.wrong'))
  const other = await made()
  const elsewhere = await open(other.store, other.key, { directory: directory.path })
  await assert.rejects(addKey(elsewhere, { source: { kind: 'new-file', file: 'key' } }), code('config.invalid'))
  const adopted = await addKey(elsewhere, { source: { kind: 'file', file: 'key' } })
  assert.equal(adopted.outcome, 'created')
  await assert.rejects(addKey(retake, { source: { kind: 'passphrase', text: 'short' } }), code('key.refused'))
  const text = 'a passphrase of enough words'
  await addKey(retake, { source: { kind: 'passphrase', text }, scryptCost: CHEAP_SCRYPT })
  await openRepository(store, { kind: 'passphrase', text })
})

test('a key whose holder could not be stored leaves no file behind, unless it may have been stored', async () => {
  const failure = new RetakeError('storage.full', 'planned')
  for (const [fault, left] of [
    [{ error: failure }, false],
    [{ errorAfter: failure }, true],
  ] as const) {
    await using directory = await temporaryDirectory()
    const { store, key } = await made()
    const faulty = new FaultyStore(store).plan('create', { matching: (name) => name.endsWith('.json'), ...fault })
    const retake = await open(faulty, key, { directory: directory.path })
    await assert.rejects(addKey(retake, { source: { kind: 'new-file', file: 'key' } }), code('storage.full'))
    faulty.assertAllHit()
    assert.equal(existsSync(join(directory.path, 'key')), left)
  }
})

test('a rotation that fails at any call leaves a key that opens, and the same call finishes', async () => {
  const failure = new RetakeError('storage.failed', 'planned')
  const template = await made()
  const rehearsal = new FaultyStore(await copyStore(template.store))
  const next = generateKey()
  const source = async () => ({ kind: 'text', text: formatKeyText(next.bytes) }) as const
  await rotateMaster(await open(rehearsal, template.key), { source })
  const oldHolder = (await (await openRepository(template.store, template.key)).listHolders())[0]?.holder
  for (const [index, call] of rehearsal.calls.entries()) {
    const point = call.split(' ')[0] as 'get'
    const after = rehearsal.calls.slice(0, index).filter((one) => one.startsWith(`${point} `)).length
    for (const fault of [{ error: failure }, { errorAfter: failure }]) {
      const store = await copyStore(template.store)
      const faulty = new FaultyStore(store).plan(point, { after, ...fault })
      await open(faulty, template.key)
        .then((retake) => rotateMaster(retake, { source }))
        .catch((error: unknown) => assert.equal(error, failure, call))
      faulty.assertAllHit()
      const openers = await Promise.all(
        [template.key, next].map((key) => openRepository(store, key).then(Boolean, () => false)),
      )
      assert.ok(openers.some(Boolean), `somebody is let in after ${call}`)
      const retake = await open(store, openers[0] ? template.key : next)
      await rotateMaster(retake, { source, replaces: oldHolder })
      await assert.rejects(openRepository(store, template.key), code('key.wrong'))
      const repository = await openRepository(store, next)
      // A receipt that was cut off costs nothing while its file is there.
      const errors = (await verifyRepository({ repository, depth: 'deep' })).findings.filter(
        ({ severity, object }) => severity === 'error' || !object.endsWith('.receipt'),
      )
      assert.deepEqual(errors, [], call)
    }
  }
})

test('what is recommended names the command: one key, no kit, an old trial, a key that is due, objects under an old key', () => {
  const now = new Date('2026-11-22T09:00:00.000Z')
  const holder = {
    holder: 'a'.repeat(16),
    kind: 'key',
    label: 'one',
    createdAt: '',
    inUse: true,
    state: 'good',
    due: false,
  } as const
  const said = (facts: Partial<Parameters<typeof recommend>[0]>) =>
    recommend({ holders: [], clusters: [], now, ...facts }).join('\n')
  assert.match(said({ holders: [holder] }), /There is one key.*retake keys kit/)
  const kit = { ...holder, holder: 'b'.repeat(16), kind: 'recovery-kit' }
  assert.match(said({ holders: [holder, kit] }), /No recovery kit was ever tried: retake keys escrow-test/)
  const provenAt = new Date(now.getTime() - 200 * DAY_MS).toISOString()
  const proof = { holder: kit.holder, provenAt, by: 'x', depth: 'sample', clusters: [] } as const
  assert.match(said({ holders: [holder, { ...kit, proof }] }), /was tried 200 days ago/)
  const fresh = { ...proof, provenAt: now.toISOString() }
  assert.equal(said({ holders: [holder, { ...kit, proof: fresh }] }), '')
  assert.match(said({ holders: [{ ...holder, due: true, dueAt: provenAt }] }), /due to be replaced.*--replaces a{16}/)
  assert.match(said({ holders: [{ ...holder, state: 'removing' }] }), /removal of "one" was cut short/)
  const epoch = { epoch: 1, createdAt: '', current: false, packs: 0, packBytes: 0, objects: 0, objectBytes: 0 }
  const cluster = { cluster: 'main', epochs: [epoch, { ...epoch, epoch: 2, current: true }], damaged: [], due: false }
  assert.match(said({ clusters: [cluster] }), /seal nothing any more.*retake keys retire --cluster main/)
  const nothing = { toSealAnew: 0, walEnd: 0, toPrune: 0, passing: 0 }
  const older = (what: Partial<typeof nothing>) => said({ clusters: [{ ...cluster, older: { ...nothing, ...what } }] })
  assert.match(older({ toSealAnew: 1, walEnd: 1, toPrune: 1 }), /re-encrypt --cluster main, then retake prune/)
  assert.match(older({ walEnd: 1, toPrune: 1, passing: 1 }), /Stop the receiver.*re-encrypt --cluster main/)
  assert.match(older({ toPrune: 1, passing: 1 }), /retake prune --cluster main.*then retake keys retire/)
  assert.doesNotMatch(older({ toPrune: 1 }), /re-encrypt/)
  assert.doesNotMatch(said({ clusters: [{ ...cluster, older: { ...nothing, toPrune: 1 }, damaged: ['x'] }] }), /prune/)
  assert.match(older({ passing: 1 }), /leases.*then retake keys retire/)
  assert.equal(
    said({ clusters: [{ ...cluster, damaged: ['x'] }] }),
    'Something of "main" cannot be read: retake verify',
  )
})

test('after a rotation each step is recommended when it is due: sealing anew, pruning, retiring', async () => {
  const store = createMemoryStore()
  const { key } = await createExampleRepository(store)
  const step = async (): Promise<string | undefined> => {
    const { recommendations } = await readKeysStatus(await open(store, key))
    return recommendations.find((sentence) => sentence.includes('lder key'))
  }
  assert.equal(await step(), undefined)
  await rotateData(await open(store, key))
  assert.match((await step()) ?? '', /retake keys re-encrypt --cluster main, then retake prune/)
  await reEncrypt(await open(store, key)).result
  const { clusters } = await readKeysStatus(await open(store, key))
  assert.ok((clusters[0]?.epochs[0]?.packs ?? 0) > 0, 'the old packs are still there')
  assert.match((await step()) ?? '', /not needed any more.*retake prune --cluster main/)
  await prune(await open(store, key), { graceHours: 0, policy: { days: 3650 } }).result
  assert.match((await step()) ?? '', /seal nothing any more.*retake keys retire --cluster main/)
  await retireKeys(await open(store, key), { graceMs: 0 })
  assert.equal(await step(), undefined)
})

test('the key that is made is the one that is written', async () => {
  await using directory = await temporaryDirectory()
  const { store, key } = await made()
  const retake = await open(store, key, { directory: directory.path, repo: 'x' })
  await addKey(retake, { source: { kind: 'recovery-kit', file: 'kit.txt' } })
  const text = await readFile(join(directory.path, 'kit.txt'), 'utf8')
  assert.match(text, /RETAKE RECOVERY KIT/)
  const opened = await openRepository(store, parseKeyText(text))
  assert.equal((await opened.listHolders()).find(({ holder }) => holder === opened.openedBy)?.kind, 'recovery-kit')
})
