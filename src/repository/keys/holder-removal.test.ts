import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../../base/errors.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { FaultyStore } from '../../storage/testing/faulty-store.ts'
import { createRepository, openRepository, type Repository } from '../repository.ts'
import { CHEAP_SCRYPT } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { findHolder, listRemovals, type RemoveHolderOptions, removeHolder } from './holder-removal.ts'
import { generateKey } from './key-material.ts'
import { holderKey, removalKey } from './key-ring.ts'

const now = new Date('2026-11-22T09:00:00.000Z')
const remove = (repository: Repository, holder: string, options: Partial<RemoveHolderOptions> = {}) =>
  removeHolder(repository, { holder, by: 'ann@host', now, ...options })
const code = (expected: string) => (error: unknown) => error instanceof RetakeError && error.code === expected
const findings = async (repository: Repository) =>
  (await verifyRepository({ repository, depth: 'deep' })).findings.map(
    ({ severity, object }) => `${severity} ${object}`,
  )

async function withTwoKeys() {
  const store = createMemoryStore()
  const [first, second] = [generateKey(), generateKey()]
  const repository = await createRepository(store, first, { label: 'first' })
  const other = await repository.addHolder(second, { label: 'second' })
  return { store, repository, first, second, other }
}

test('a removed key opens nothing, its removal is recorded, and nothing counts as lost', async () => {
  const { store, repository, first, second } = await withTwoKeys()
  const holder = await findHolder(repository, 'first')
  const removal = await remove(repository, holder)
  assert.deepEqual(
    [removal.label, removal.kind, removal.by, removal.removedAt],
    ['first', 'key', 'ann@host', now.toISOString()],
  )
  await assert.rejects(openRepository(store, first), code('key.wrong'))
  const reopened = await openRepository(store, second)
  assert.deepEqual(await listRemovals(reopened), [removal])
  assert.deepEqual(await findings(reopened), [])
  assert.deepEqual(await remove(reopened, holder), removal, 'removing again says what was recorded')
})

test('what would lock everybody out is refused: the last key, and without force the last that is no recovery kit', async () => {
  const { repository, other } = await withTwoKeys()
  await assert.rejects(remove(repository, '0123456789abcdef'), code('key.unknown'))
  await repository.addHolder(generateKey(), { label: 'safe', kind: 'recovery-kit' })
  await remove(repository, other)
  const first = await findHolder(repository, 'first')
  await assert.rejects(remove(repository, first), code('key.refused'))
  await remove(repository, first, { force: true })
  await assert.rejects(remove(repository, await findHolder(repository, 'safe'), { force: true }), code('key.refused'))
  assert.deepEqual(await findings(repository), [])
})

test('of two that remove each other at the same time nobody ends without a key', async () => {
  const { store, repository, other } = await withTwoKeys()
  const mine = await findHolder(repository, 'first')
  const racing = new FaultyStore(store).plan('create', {
    matching: (key) => key === removalKey(other),
    before: async () => void (await remove(repository, mine)),
  })
  await assert.rejects(remove({ ...repository, store: racing }, other), code('key.refused'))
  racing.assertAllHit()
  assert.deepEqual(
    (await repository.listHolders()).map(({ label }) => label),
    ['second'],
  )
  assert.deepEqual(await findings(repository), [])
})

test('a holder file that comes back, or a record that goes, is noticed', async () => {
  const { store, repository, other } = await withTwoKeys()
  const file = (await store.get(holderKey(other))) as Uint8Array
  await remove(repository, other)
  const record = (await store.get(removalKey(other))) as Uint8Array
  await store.create(holderKey(other), file)
  assert.deepEqual(await findings(repository), [`warning ${holderKey(other)}`])
  await remove(repository, other)
  assert.deepEqual(await findings(repository), [])
  await store.delete(removalKey(other))
  assert.deepEqual(await findings(repository), [`error ${holderKey(other)}`])
  record[70] = (record[70] ?? 0) ^ 1
  await store.create(removalKey(other), record)
  assert.deepEqual(await findings(repository), [`warning ${removalKey(other)}`])
})

test('a damaged holder file can be removed, and is then in order', async () => {
  const { store, repository, other } = await withTwoKeys()
  await store.replace(holderKey(other), Buffer.from('{}'))
  await remove(repository, other)
  assert.deepEqual(await findings(repository), [])
})

test('a removal that fails at any call leaves the key as it was, or unfinished and said, or removed', async () => {
  const failure = new RetakeError('storage.failed', 'planned')
  const rehearsal = await withTwoKeys()
  const recorder = new FaultyStore(rehearsal.store)
  await remove({ ...rehearsal.repository, store: recorder }, rehearsal.other)
  for (const [index, call] of recorder.calls.entries()) {
    const point = call.split(' ')[0] as 'get'
    const after = recorder.calls.slice(0, index).filter((one) => one.startsWith(`${point} `)).length
    for (const fault of [{ error: failure }, { errorAfter: failure }]) {
      const { store, repository, first, other } = await withTwoKeys()
      const faulty = new FaultyStore(store).plan(point, { after, ...fault })
      await remove({ ...repository, store: faulty }, other).catch((error: unknown) => assert.equal(error, failure))
      faulty.assertAllHit()
      const reopened = await openRepository(store, first)
      const found = await findings(reopened)
      assert.ok(
        found.every((one) => one === `warning ${holderKey(other)}`),
        found.join(),
      )
      await remove(reopened, other)
      assert.deepEqual(await findings(reopened), [])
    }
  }
})

test('a passphrase is removed like any other key', async () => {
  const store = createMemoryStore()
  const repository = await createRepository(store, generateKey())
  const passphrase = { kind: 'passphrase', text: 'left the company' } as const
  const holder = await repository.addHolder(passphrase, { label: 'bob', scryptCost: CHEAP_SCRYPT })
  await remove(repository, holder)
  await assert.rejects(openRepository(store, passphrase), code('key.wrong'))
})
