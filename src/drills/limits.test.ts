import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import type { PreflightResult, RestorePlan } from '../recovery/plan-types.ts'
import { assertFits, watchLimits } from './limits.ts'
import { outcomeOf } from './protocol.ts'

type Sized = Pick<RestorePlan, 'files' | 'wal' | 'preflight'>

const planOf = (...preflight: PreflightResult[]) =>
  ({
    files: { count: 1, bytes: 9e9, writtenBytes: 5e9, fetchedBytes: 1e9 },
    wal: { bytes: 1e8 },
    preflight,
  }) as unknown as Sized as RestorePlan

const room = { maxBytes: undefined, availableMemoryBytes: 1e9 }

test('what does not fit is refused with numbers, and what is missing is named', () => {
  assertFits(planOf({ name: 'port', status: 'warning', detail: '' }), room)
  assertFits(planOf(), { ...room, maxBytes: 5.1e9 })
  assert.throws(() => assertFits(planOf(), { ...room, maxBytes: 5e9 }), /5100 MB of disk, and 5000 MB are allowed/)
  assert.throws(() => assertFits(planOf(), { ...room, availableMemoryBytes: 1e8 }), /of memory, and 100 MB are free/)
  const full = { name: 'space', status: 'failed', detail: '9 GB needed, 1 GB free', fix: 'with --to' } as const
  assert.throws(() => assertFits(planOf(full), room), { code: 'restore.refused', hint: /--dir/ })
  const lacking = {
    name: 'server programs',
    status: 'failed',
    detail: 'No PostgreSQL 17.',
    fix: 'Install it.',
  } as const
  assert.throws(() => assertFits(planOf(lacking), room), { code: 'dependency.missing', hint: 'Install it.' })
})

test('what keeps a drill from being carried out here is no finding; a check that failed is one, whatever came later', () => {
  const of = (code: ConstructorParameters<typeof RetakeError>[0], failed: unknown[] = []) =>
    outcomeOf(new RetakeError(code, ''), failed)
  assert.equal(outcomeOf(undefined, []), 'passed')
  assert.equal(outcomeOf(undefined, ['a check']), 'failed')
  for (const code of ['dependency.missing', 'restore.refused', 'storage.full', 'postgres.auth'] as const) {
    assert.deepEqual([of(code), of(code, ['a check'])], ['inconclusive', 'failed'])
  }
  for (const code of ['repo.damaged', 'wal.gap', 'timeout', 'restore.mismatch', 'backup.missing'] as const) {
    assert.equal(of(code), 'failed', code)
  }
  assert.deepEqual([of('aborted'), of('aborted', ['a check'])], ['interrupted', 'failed'])
})

test('a drill is told that its time is over, and that it was stopped', async () => {
  {
    await using watch = watchLimits({ signal: new AbortController().signal, timeLimitMs: 1, directory: '/' })
    await new Promise<void>((resolve) => watch.signal.addEventListener('abort', () => resolve()))
    assert.equal(watch.signal.reason.code, 'timeout')
  }
  const controller = new AbortController()
  await using watch = watchLimits({ signal: controller.signal, timeLimitMs: 1e6, directory: '/' })
  assert.equal(watch.signal.aborted, false)
  controller.abort('enough')
  assert.equal(watch.signal.reason, 'enough')
})
