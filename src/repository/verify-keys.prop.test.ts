/** F3 and F12 for everything that is about keys: removals, proofs, epochs that ended, a cluster that was shredded. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { copyStore } from '../storage/testing/copy-store.ts'
import { createEpoch } from './epochs.ts'
import { removeHolder } from './keys/holder-removal.ts'
import { generateKey } from './keys/key-material.ts'
import { putKitProof } from './keys/kit-proof.ts'
import { epochKey } from './layout.ts'
import { createRepository, openRepository } from './repository.ts'
import { retireEpochs } from './retire-epoch.ts'
import { beginShred, finishShred } from './shred.ts'
import { exampleFacts } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const store = createMemoryStore()
const key = generateKey()
const repository = await createRepository(store, key)
const now = new Date('2026-11-22T09:00:00.000Z')
const removed = await repository.addHolder(generateKey(), { label: 'removed' })
await removeHolder(repository, { holder: removed, by: 'ann@host', now })
await putKitProof(repository, {
  holder: repository.openedBy,
  provenAt: now.toISOString(),
  by: 'x',
  depth: 'sample',
  clusters: [],
})
const place = { ...repository, clock: systemClock }
await repository.registerCluster(exampleFacts)
for (const _ of [2, 3]) await createEpoch(place, 'main')
const main = await repository.openCluster('main')
await retireEpochs(repository, main, { by: 'x', graceMs: 0 })
await createEpoch(place, 'main')
await retireEpochs(repository, await repository.openCluster('main'), { by: 'x' })
const gone = await repository.registerCluster({ ...exampleFacts, name: 'gone' })
await beginShred(repository, gone, { packs: new Set(['ab'.repeat(16)]), by: 'x', now })
await finishShred(repository, 'gone', now)

const names = (await Array.fromAsync(store.list(''))).map((info) => info.key)

/** What verification says of a store, and nothing when all is well; or what opening it says. */
async function judge(subject: ObjectStore): Promise<string[]> {
  try {
    const opened = await openRepository(subject, key)
    const { findings } = await verifyRepository({ repository: opened, depth: 'deep' })
    return findings.flatMap(({ severity, object }) => (severity === 'notice' ? [] : [object]))
  } catch (error) {
    assert.ok(isRetakeError(error, 'repo.damaged'), String(error))
    return [error.message]
  }
}

test('the example has every kind of record, and is in order', async () => {
  for (const end of ['.removed', `.proven-`, '.retired', '.retiring', 'shred/begun', 'shred/done'])
    assert.ok(
      names.some((name) => name.includes(end)),
      `there is no ${end}: ${names.join()}`,
    )
  assert.deepEqual(await judge(store), [])
})

test('a flipped bit, a cut, or an exchange of any of them is found and named', async () => {
  for (const name of names) {
    const bytes = (await store.get(name)) as Uint8Array
    const flipped = Uint8Array.from(bytes)
    const at = randomInt(bytes.length)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << randomInt(8))
    for (const [what, changed] of [
      [`byte ${at} flipped`, flipped],
      ['cut', bytes.slice(0, randomInt(bytes.length))],
    ] as const) {
      const subject = await copyStore(store)
      await subject.replace(name, changed)
      const found = await judge(subject)
      assert.ok(
        found.some((object) => object.includes(name)),
        `${name} ${what}: ${found.join()}`,
      )
    }
  }
})

test('a shredding whose beginning is damaged is told from one whose end is', async () => {
  const name = names.find((one) => one.endsWith('shred/begun')) ?? ''
  const bytes = (await store.get(name)) as Uint8Array
  for (let at = 0; at < bytes.length; at += 7) {
    const flipped = Uint8Array.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    const subject = await copyStore(store)
    await subject.replace(name, flipped)
    const found = await judge(subject)
    assert.ok(found.includes(name), `byte ${at}: ${found.join()}`)
  }
})

test('the removal of any of them is found, but for what only announces or proves', async () => {
  for (const name of names) {
    // An announcement that is gone is made again, a proof as well; a shredding without its end is finished again.
    if (/\.retiring$|\.proven-/.test(name)) continue
    const subject = await copyStore(store)
    await subject.delete(name)
    const found = await judge(subject)
    assert.ok(found.length > 0, `${name} was removed, and nothing was found`)
  }
})

test('a data key of a gap in the epochs is missed', async () => {
  const subject = await copyStore(store)
  await subject.delete(epochKey('main', 3))
  assert.deepEqual(await judge(subject), [epochKey('main', 3)])
})
