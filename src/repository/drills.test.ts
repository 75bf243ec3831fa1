import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { timeOrderedId } from '../base/ids.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import {
  type DrillRecord,
  forgetOldDrills,
  listDrillIds,
  listDrills,
  parseDrill,
  putDrill,
  readDrill,
} from './drills.ts'
import { listSealedObjects } from './epoch-usage.ts'
import { drillKey } from './layout.ts'
import { exampleDrill } from './testing/example-drill.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import { checkStructure } from './upkeep/check-structure.ts'
import { computeStats } from './upkeep/stats.ts'
import { verifyRepository } from './verify.ts'

const BEGIN = Date.UTC(2026, 10, 22, 12)
const DAY_MS = 86_400_000
const clockAt = (ms: number): Clock => ({ now: () => new Date(ms), monotonicMs: () => ms })
const idAt = (ms: number) => timeOrderedId(new Date(ms))

async function all(listed: AsyncIterable<DrillRecord>): Promise<string[]> {
  return (await Array.fromAsync(listed)).map(({ id }) => id)
}

test('a drill is kept as it was put, once, and everything that walks through a repository knows it', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const [first, second] = [idAt(BEGIN), idAt(BEGIN + 1000)]
  assert.equal(await putDrill(cluster, exampleDrill(first)), true)
  assert.equal(await putDrill(cluster, exampleDrill(second, { outcome: 'failed' })), true)
  assert.equal(await putDrill(cluster, exampleDrill(first, { outcome: 'failed' })), false)
  assert.deepEqual(await readDrill(cluster, first), exampleDrill(first))
  assert.deepEqual(await all(listDrills(cluster)), [second, first])
  assert.deepEqual(await all(listDrills(cluster, { limit: 1 })), [second])
  assert.deepEqual(parseDrill(JSON.parse(JSON.stringify(exampleDrill(first)))), exampleDrill(first))
  assert.equal(parseDrill({ id: first }), undefined)
  for (const id of [idAt(BEGIN + 5000), 'what']) await assert.rejects(readDrill(cluster, id), { code: 'drill.missing' })

  assert.deepEqual((await verifyRepository({ repository, depth: 'deep' })).findings, [])
  assert.deepEqual((await checkStructure(repository)).findings, [])
  assert.equal((await computeStats(repository)).kinds.find(({ kind }) => kind === 'drills')?.objects, 2)
  const sealed = (await Array.fromAsync(listSealedObjects(cluster))).filter(({ key }) => key.includes('/drills/'))
  assert.deepEqual(
    sealed.map(({ epoch }) => epoch),
    [1, 1],
  )
})

test('a damaged record is named, and hides no other', async () => {
  const store = createMemoryStore()
  const { repository, cluster } = await createExampleRepository(store)
  const [good, bad, moved] = [idAt(BEGIN), idAt(BEGIN + 1000), idAt(BEGIN + 2000)]
  await putDrill(cluster, exampleDrill(good))
  await putDrill(cluster, exampleDrill(bad))
  const key = drillKey('main', bad)
  const bytes = Uint8Array.from((await store.get(key)) ?? [])
  await store.create(drillKey('main', moved), bytes)
  bytes[80] = (bytes[80] ?? 0) ^ 1
  await store.replace(key, bytes)
  const named: string[] = []
  assert.deepEqual(await all(listDrills(cluster, { onDamage: (_, which) => named.push(which) })), [good])
  assert.deepEqual(named, [drillKey('main', moved), key])
  await assert.rejects(all(listDrills(cluster)), { code: 'repo.damaged' })
  const { findings } = await verifyRepository({ repository, depth: 'quick' })
  assert.deepEqual(findings.map(({ object, severity }) => `${severity} ${object}`).sort(), [
    `warning ${key}`,
    `warning ${drillKey('main', moved)}`,
  ])
})

test('drills are kept for 400 days, of very many the newest, and none of a clock that was ahead', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const ids = Array.from({ length: 503 }, (_, index) => idAt(BEGIN + index * 1000))
  for (const id of ids) await putDrill(cluster, exampleDrill(id))
  await forgetOldDrills(cluster, clockAt(BEGIN + 399 * DAY_MS))
  assert.deepEqual(await listDrillIds(cluster), ids.slice(3))
  await putDrill(cluster, exampleDrill(idAt(BEGIN + 500 * DAY_MS)))
  await forgetOldDrills(cluster, clockAt(BEGIN + 400 * DAY_MS + 100_000))
  assert.deepEqual(await listDrillIds(cluster), ids.slice(100))
})
