import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import { timeOrderedId } from '../base/ids.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { forgetOldFailures, readFailure, recordFailure, rememberInterrupted } from './failures.ts'
import { beginRun, cleanInterruptedRuns, listRuns } from './runs.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const BEGIN = Date.UTC(2026, 10, 22, 12)
const DAY_MS = 86_400_000
const clockAt = (ms: number): Clock => ({ now: () => new Date(ms), monotonicMs: () => ms })
const clock = clockAt(BEGIN)
const full = new RetakeError('storage.full', 'There is no room left.')

test('why a backup failed is remembered, and its records are whole', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const backupId = timeOrderedId(new Date(BEGIN - 1000))
  await recordFailure(cluster, { backupId, error: full, clock })
  const expected = { backupId, at: '2026-11-22T12:00:00.000Z', code: 'storage.full', message: 'There is no room left.' }
  assert.deepEqual(await readFailure(cluster, backupId), expected)
  assert.deepEqual([...(await listRuns(cluster)).failed], [backupId])
  assert.deepEqual((await verifyRepository({ repository, depth: 'deep' })).findings, [])
  assert.equal(await readFailure(cluster, timeOrderedId(new Date(BEGIN))), undefined)
})

test('one that was cut short is remembered when it is cleaned up, and a reason that it gave itself stays', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const [silent, said] = [timeOrderedId(new Date(BEGIN - 9000)), timeOrderedId(new Date(BEGIN - 5000))]
  await beginRun(cluster, silent)
  await beginRun(cluster, said)
  await recordFailure(cluster, { backupId: said, error: full, clock })
  await cleanInterruptedRuns(cluster, rememberInterrupted(cluster, clock))
  const { begun, failed } = await listRuns(cluster)
  assert.ok(!begun.has(silent) && !begun.has(said))
  assert.deepEqual([...failed].sort(), [silent, said])
  assert.equal((await readFailure(cluster, silent))?.code, 'interrupted')
  assert.equal((await readFailure(cluster, said))?.code, 'storage.full')
})

test('failures are kept for a month, and of very many the newest', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const ids = Array.from({ length: 203 }, (_, index) => timeOrderedId(new Date(BEGIN + index * 1000)))
  for (const backupId of ids) await recordFailure(cluster, { backupId, error: full, clock })
  await forgetOldFailures(cluster, clockAt(BEGIN + 30 * DAY_MS))
  assert.deepEqual([...(await listRuns(cluster)).failed].sort(), ids.slice(3))
  const ahead = timeOrderedId(new Date(BEGIN + 40 * DAY_MS))
  await recordFailure(cluster, { backupId: ahead, error: full, clock })
  await forgetOldFailures(cluster, clockAt(BEGIN + 31 * DAY_MS + 100_000))
  assert.deepEqual([...(await listRuns(cluster)).failed].sort(), ids.slice(100))
})
