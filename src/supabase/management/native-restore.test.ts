import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import type { TestBackups } from '../test-server/project.ts'
import { startManagementServer } from '../test-server/server.ts'
import { SupabaseManagement } from './api.ts'
import { applyNativeRestore, followNativeRestore, planNativeRestore } from './native-restore.ts'

const REF = 'abcdefghijklmnopqrst'
const NOW_MS = Date.parse('2026-11-22T09:00:00Z')
const PITR: TestBackups = {
  mode: 'pitr',
  days: 7,
  earliestUnix: NOW_MS / 1000 - 6 * 86_400,
  latestUnix: NOW_MS / 1000 - 120,
}

async function start(backups: TestBackups = PITR) {
  let nowMs = NOW_MS
  const clock: Clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs }
  const server = await startManagementServer({ projects: [{ ref: REF, backups, restoreMs: 60_000 }], clock })
  const api = new SupabaseManagement({ token: server.token, url: server.url, clock })
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { server, api, clock, pass, project: server.project(REF), [Symbol.asyncDispose]: () => server.close() }
}

describe('a native restore', () => {
  test('is planned, confirmed, ordered once and followed to its end', async () => {
    await using s = await start()
    const plan = await planNativeRestore(s.api, { ref: REF, at: '2026-11-22T09:30:00.900+01:00', clock: s.clock })
    assert.equal(plan.target, '2026-11-22T08:30:00.000Z', 'a fraction is cut off')
    assert.match(plan.warnings.join('\n'), /no way back/)
    await applyNativeRestore(s.api, plan, { confirm: REF, clock: s.clock })
    assert.deepEqual(s.project.restores, [Date.parse(plan.target) / 1000])
    const seen: string[] = []
    for await (const { state, status } of followNativeRestore(s.api, REF, { pollMs: 1, clock: s.clock })) {
      seen.push(`${state} ${status}`)
      s.pass(20_000)
    }
    assert.deepEqual(seen, ['running RESTORING', 'running RESTORING', 'running RESTORING', 'done ACTIVE_HEALTHY'])
  })

  test('that fails is told as failed', async () => {
    await using s = await start()
    s.project.restoreFails = true
    await s.api.restorePitr(REF, NOW_MS / 1000 - 3600)
    const states: string[] = []
    for await (const { state } of followNativeRestore(s.api, REF, { pollMs: 1, clock: s.clock })) {
      states.push(state)
      s.pass(30_000)
    }
    assert.equal(states.at(-1), 'failed')
  })

  test('that was never seen to run is not called done', async () => {
    await using s = await start()
    const states: string[] = []
    for await (const { state } of followNativeRestore(s.api, REF, { pollMs: 1, settleMs: 50_000, clock: s.clock })) {
      states.push(state)
      s.pass(20_000)
    }
    assert.deepEqual(states, ['running', 'running', 'running', 'not-seen'])
  })

  test('is not ordered without the name, with an old plan, or with one that was changed', async () => {
    await using s = await start()
    const plan = await planNativeRestore(s.api, { ref: REF, at: '2026-11-22T08:30:00Z', clock: s.clock })
    await assert.rejects(applyNativeRestore(s.api, plan, { confirm: 'yes', clock: s.clock }), {
      code: 'confirmation.missing',
    })
    const changed = { ...plan, targetUnix: plan.targetUnix - 3600 }
    await assert.rejects(applyNativeRestore(s.api, changed, { confirm: REF, clock: s.clock }), { code: 'plan.stale' })
    s.pass(16 * 60_000)
    await assert.rejects(applyNativeRestore(s.api, plan, { confirm: REF, clock: s.clock }), { code: 'plan.stale' })
    assert.deepEqual(s.project.restores, [])
  })

  test('is refused where it cannot be made', async () => {
    await using none = await start({ mode: 'none' })
    const at = '2026-11-22T08:30:00Z'
    await assert.rejects(planNativeRestore(none.api, { ref: REF, at }), { code: 'restore.refused' })
    await using s = await start()
    for (const outside of ['2026-11-22T08:59:00Z', '2026-11-01T00:00:00Z']) {
      await assert.rejects(planNativeRestore(s.api, { ref: REF, at: outside }), { code: 'target.outside' })
    }
    await assert.rejects(planNativeRestore(s.api, { ref: REF, at: '2026-11-22T08:30:00' }), { code: 'target.invalid' })
    s.project.status = 'INACTIVE'
    await assert.rejects(planNativeRestore(s.api, { ref: REF, at }), { code: 'restore.refused' })
  })
})
