import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryStore } from '../memory-store.ts'
import type { ObjectStore } from '../object-store.ts'
import { DEFAULT_TIME_LIMITS } from '../store-address.ts'
import { createRecord, IDENTITY_KEY } from './copy-record.ts'
import { openMirrored } from './mirrored-store.ts'
import { createSharedView } from './shared-view.ts'

const DAY_MS = 24 * 60 * 60 * 1000

test('each copy that has locks keeps them in step, at its own length', async () => {
  const copies = [
    { name: 'origin', url: 's3://one?object-lock=compliance&lock-days=10' },
    { name: 'north', url: '/a/directory' },
    { name: 'south', url: 's3://two?object-lock=governance&lock-days=3' },
  ]
  const names = copies.map(({ name }) => name)
  const locks = new Map<string, Date>()
  const stores = new Map<string, ObjectStore>()
  for (const { name, url } of copies) {
    const memory: ObjectStore = createMemoryStore(name)
    await memory.create(IDENTITY_KEY, Buffer.from('{"repositoryId":"r"}'))
    const record = { generation: 1, primary: 'origin', current: names, joining: [], members: names }
    await createRecord(memory, { ...record, reason: 'test', at: '' })
    const retain = async (_key: string, until: Date) => {
      locks.set(name, until)
      return until
    }
    stores.set(url, url.startsWith('s3:') ? Object.assign(memory, { retain }) : memory)
  }
  const shared = createSharedView()
  const address = { copies, mirrorSync: 'available', referring: [], limits: DEFAULT_TIME_LIMITS, shared } as const
  await using store = await openMirrored(address, { open: async (url) => stores.get(url) as ObjectStore })
  assert.equal(store.retainDays, 10)
  const begun = new Date('2026-11-22T12:00:00Z')
  const at = (days: number) => new Date(begun.getTime() + days * DAY_MS)
  assert.deepEqual(await store.retain?.('packs/x', at(10)), at(3))
  assert.deepEqual(Object.fromEntries(locks), { origin: at(10), south: at(3) })
})
