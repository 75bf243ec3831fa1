/** A native restore against the test server: ordered once, whatever happens to whoever orders it. */
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { makeTemp } from '../../../test/support/temp.ts'
import type { Clock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import { type NativeRestorePlan, readNativePlan } from '../../supabase/management/native-restore.ts'
import type { Fault } from '../../supabase/test-server/faults.ts'
import { startManagementServer } from '../../supabase/test-server/server.ts'
import { retakeSettings } from '../open.ts'
import { orderFileOf } from './order.ts'
import { type ApplyNativeOptions, applyNative, checkNative, nativeSteps, planNative } from './restore.ts'

const REF = 'abcdefghijklmnopqrst'
const NOW_MS = Date.parse('2026-11-22T09:00:00Z')
const AT = '2026-11-22T08:30:00Z'
const ORDER = /^POST .*restore-pitr$/
const STATUS = /^GET \/v1\/projects\/[a-z]+$/

async function start() {
  let nowMs = NOW_MS
  const clock: Clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs }
  const pass = (ms: number) => {
    nowMs += ms
  }
  const temp = makeTemp({ label: 'native' })
  const backups = {
    mode: 'pitr',
    days: 7,
    earliestUnix: NOW_MS / 1000 - 600_000,
    latestUnix: NOW_MS / 1000 - 60,
  } as const
  const server = await startManagementServer({ projects: [{ ref: REF, backups, restoreMs: 60_000 }], clock })
  const settings = retakeSettings({
    supabaseProject: REF,
    supabaseToken: server.token,
    supabaseApiUrl: server.url,
    clock,
  })
  const planFile = temp.join('plan.json')
  const states: string[] = []
  const apply = (plan: NativeRestorePlan, more: Partial<ApplyNativeOptions> = {}) =>
    applyNative(settings, plan, {
      planFile,
      confirm: async () => REF,
      pollMs: 1,
      settleMs: 50_000,
      onState: ({ state, status }) => {
        states.push(`${state} ${status}`)
        pass(20_000)
      },
      ...more,
    })
  return {
    server,
    settings,
    planFile,
    pass,
    states,
    apply,
    orderFile: (plan: NativeRestorePlan) => orderFileOf(planFile, plan),
    project: server.project(REF),
    plan: () => planNative(settings, { at: AT }),
    orders: () => server.requests.filter(({ method, path }) => ORDER.test(`${method} ${path}`)).length,
    [Symbol.asyncDispose]: async () => {
      await server.close()
      await temp[Symbol.asyncDispose]()
    },
  }
}

type Scene = Awaited<ReturnType<typeof start>>

const nobodyAsked = () => Promise.reject(new Error('asked for a confirmation'))

/** Stops following at the first sight of the restore, as a Ctrl-C does. */
async function applyAndStop(s: Scene, plan: NativeRestorePlan): Promise<void> {
  const stop = new AbortController()
  const onState: ApplyNativeOptions['onState'] = ({ status }) => {
    if (status === 'RESTORING') stop.abort()
  }
  await assert.rejects(s.apply(plan, { signal: stop.signal, onState }), (error: unknown) => {
    assert.ok(isRetakeError(error, 'aborted'))
    assert.match(error.message, /Supabase goes on/)
    assert.match(error.hint ?? '', /retake native apply .*plan\.json$/)
    return true
  })
}

describe('a native restore by plan', () => {
  test('is ordered, followed to its end, and told with what comes next', async () => {
    await using s = await start()
    const plan = await s.plan()
    const report = await s.apply(plan)
    assert.deepEqual(s.project.restores, [Date.parse(AT) / 1000])
    assert.deepEqual([report.resumed, report.target], [false, '2026-11-22T08:30:00.000Z'])
    assert.equal(s.states.at(-1), 'done ACTIVE_HEALTHY')
    assert.ok(report.services?.every(({ status }) => status === 'ACTIVE_HEALTHY'))
    assert.match(report.after.join('\n'), /retake init .*"retake_main" anew\nretake backup --type full/)
    const order = JSON.parse(await readFile(s.orderFile(plan), 'utf8'))
    assert.deepEqual([order.outcome, order.seen], ['done', true])
    assert.ok(!JSON.stringify(order).includes(s.server.token))
  })

  test('says what is to be done on the server before, and after', () => {
    const { before, after } = nativeSteps(retakeSettings({ cluster: 'billing' }))
    assert.match(before.join('\n'), /pg_drop_replication_slot\('retake_billing'\)/)
    assert.match(after.join('\n'), /retake_billing/)
  })

  test('that nobody followed to the end is followed again, and not ordered again', async () => {
    await using s = await start()
    const plan = await s.plan()
    await applyAndStop(s, plan)
    const report = await s.apply(plan, { confirm: nobodyAsked })
    assert.deepEqual([report.resumed, s.orders(), s.project.restores.length], [true, 1, 1])
  })

  test('that ended while nobody looked is known to have run, because it was seen to', async () => {
    await using s = await start()
    const plan = await s.plan()
    await applyAndStop(s, plan)
    s.pass(3_600_000)
    assert.equal((await s.apply(plan, { confirm: nobodyAsked })).resumed, true)
    assert.equal(s.orders(), 1)
    assert.deepEqual(s.states, ['done ACTIVE_HEALTHY'])
  })

  test('that only another who follows it has seen is known to have run', async () => {
    await using s = await start()
    const plan = await s.plan()
    await applyAndStop(s, plan)
    const order = JSON.parse(await readFile(s.orderFile(plan), 'utf8'))
    await writeFile(s.orderFile(plan), JSON.stringify({ ...order, seen: false }))
    s.pass(3_600_000)
    const states: string[] = []
    const onState: ApplyNativeOptions['onState'] = ({ state }) => {
      states.push(state)
      s.pass(20_000)
      if (state === 'not-seen') writeFileSync(s.orderFile(plan), JSON.stringify({ ...order, seen: true }))
    }
    assert.equal((await s.apply(plan, { confirm: nobodyAsked, onState })).resumed, true)
    assert.deepEqual(states.slice(-2), ['not-seen', 'done'])
    assert.equal(s.orders(), 1)
  })

  test('that was carried out is not carried out again by the same plan; a new one may', async () => {
    await using s = await start()
    const plan = await s.plan()
    await s.apply(plan)
    await assert.rejects(s.apply(plan, { confirm: nobodyAsked }), { code: 'plan.stale' })
    assert.equal(s.orders(), 1)
    const next = await s.plan()
    assert.notEqual(next.madeAt, plan.madeAt)
    await s.apply(next)
    assert.equal(s.orders(), 2)
  })

  const lost: readonly Fault[] = [
    { kind: 'html', on: ORDER },
    { kind: 'html', status: 200, on: ORDER },
    { kind: 'answer', status: 544, body: { message: 'x' }, on: ORDER },
    { kind: 'reset', on: ORDER },
    { kind: 'truncated', on: ORDER },
  ]
  for (const fault of lost) {
    test(`whose answer was lost (${fault.kind}) may have begun, so the project is looked at`, async () => {
      await using s = await start()
      s.server.fault(fault)
      const plan = await s.plan()
      let looks = 0
      const onState: ApplyNativeOptions['onState'] = () => {
        s.pass(10_000)
        if (++looks === 1) s.project.beginRestore(plan.targetUnix)
      }
      await s.apply(plan, { onState })
      assert.equal(s.orders(), 1)
      assert.deepEqual(s.server.pendingFaults, [])
    })

    test(`whose answer was lost (${fault.kind}) and that never showed is not called done, nor sent again`, async () => {
      await using s = await start()
      s.server.fault(fault)
      const plan = await s.plan()
      for (const confirm of [async () => REF, nobodyAsked]) {
        await assert.rejects(s.apply(plan, { confirm }), { code: 'supabase.failed', message: /is not known/ })
      }
      assert.deepEqual([s.orders(), s.project.restores], [1, []])
    })
  }

  test('that was certainly refused leaves no order behind, and can be ordered again', async () => {
    await using s = await start()
    const plan = await s.plan()
    for (const [status, code] of [
      [401, 'supabase.denied'],
      [403, 'supabase.denied'],
      [404, 'supabase.missing'],
      [422, 'supabase.refused'],
    ] as const) {
      s.server.fault({ kind: 'answer', status, body: { message: 'no' }, on: ORDER })
      await assert.rejects(s.apply(plan), { code })
      assert.equal(existsSync(s.orderFile(plan)), false)
    }
    s.server.fault({ kind: 'rate-limit', resetSeconds: 300, on: ORDER })
    await assert.rejects(s.apply(plan), { code: 'supabase.rate-limited' })
    assert.equal(existsSync(s.orderFile(plan)), false)
    assert.deepEqual(s.project.restores, [])
    // The limit that was told is kept to by each connection for itself; a new one asks.
    await s.apply(plan)
    assert.equal(s.project.restores.length, 1)
  })

  test('needs the reference of the project, a fresh plan, and the project that is configured', async () => {
    await using s = await start()
    const plan = await s.plan()
    for (const given of [undefined, 'yes', 'cinetrack']) {
      await assert.rejects(s.apply(plan, { confirm: async () => given }), { code: 'confirmation.missing' })
    }
    const other = { ...plan, projectRef: 'bbbbbbbbbbbbbbbbbbbb' }
    await assert.rejects(s.apply(other), { code: 'plan.stale' })
    s.pass(16 * 60_000)
    await assert.rejects(s.apply(plan), { code: 'plan.stale' })
    assert.deepEqual([s.orders(), existsSync(s.orderFile(plan))], [0, false])
  })

  test('is followed through what passes, and not through what does not', async () => {
    await using s = await start()
    const plan = await s.plan()
    await applyAndStop(s, plan)
    s.server.fault({ kind: 'html', status: 200, on: STATUS })
    s.server.fault({ kind: 'rate-limit', resetSeconds: 300, on: STATUS })
    const seen: string[] = []
    const onState: ApplyNativeOptions['onState'] = ({ status }) => {
      seen.push(status)
      s.pass(400_000)
    }
    assert.equal((await s.apply(plan, { onState })).resumed, true)
    assert.deepEqual(seen, ['unknown', 'unknown', 'ACTIVE_HEALTHY'])
    assert.deepEqual(s.server.pendingFaults, [])
    await using refused = await start()
    const second = await refused.plan()
    await applyAndStop(refused, second)
    refused.server.fault({ kind: 'answer', status: 401, body: {}, on: STATUS })
    await assert.rejects(refused.apply(second), { code: 'supabase.denied' })
    assert.equal((await refused.apply(second)).resumed, true, 'with another token it goes on')
  })

  test('is not followed for ever while Supabase gives no answer', async () => {
    await using s = await start()
    const plan = await s.plan()
    await applyAndStop(s, plan)
    s.server.fault({ kind: 'html', status: 200, on: STATUS, times: 3 })
    await assert.rejects(s.apply(plan, { onState: () => s.pass(400_000) }), { code: 'supabase.protocol' })
    assert.deepEqual(s.server.pendingFaults, [])
  })

  test('can be checked without ordering it, before and after', async () => {
    await using s = await start()
    const plan = await s.plan()
    const check = (which: NativeRestorePlan) => checkNative(s.settings, which, { planFile: s.planFile })
    assert.deepEqual(await check(plan), { isOrdered: false })
    assert.deepEqual([s.orders(), existsSync(s.orderFile(plan))], [0, false])
    await assert.rejects(check({ ...plan, projectRef: 'bbbbbbbbbbbbbbbbbbbb' }), { code: 'plan.stale' })
    await applyAndStop(s, plan)
    assert.deepEqual(await check(plan), { isOrdered: true })
    await s.apply(plan)
    await assert.rejects(check(plan), { code: 'plan.stale', message: /was carried out/ })
    const old = await s.plan()
    s.pass(16 * 60_000)
    await assert.rejects(check(old), { code: 'plan.stale' })
    assert.equal(s.orders(), 1)
  })

  test('that failed is told as failed', async () => {
    await using s = await start()
    s.project.restoreFails = true
    const plan = await s.plan()
    await assert.rejects(s.apply(plan), { code: 'supabase.failed', message: /RESTORE_FAILED/ })
    await assert.rejects(s.apply(plan), { code: 'plan.stale', message: /failed/ })
  })

  test('is ordered once by two who begin at the same time', async () => {
    await using s = await start()
    const plan = await s.plan()
    // Time stands still until the order has come: on a slow disk, the one who only follows looks more often before it than it has patience for.
    const onState: ApplyNativeOptions['onState'] = () => {
      if (s.project.restores.length > 0) s.pass(20_000)
    }
    const ended = await Promise.all([s.apply(plan, { onState }), s.apply(plan, { onState })])
    assert.equal(ended.length, 2)
    assert.equal(s.orders(), 1)
  })

  test('an order that cannot be read, or is of something else, stops everything', async () => {
    await using s = await start()
    const plan = await s.plan()
    const another = { version: 1, project: REF, targetUnix: 1, orderedAt: plan.madeAt, seen: false }
    for (const content of ['nonsense', '{}', JSON.stringify(another)]) {
      await writeFile(s.orderFile(plan), content)
      await assert.rejects(s.apply(plan), { code: 'config.invalid', message: /not known whether a restore/ })
    }
    assert.deepEqual(s.project.restores, [])
  })

  test('without a project or a token, it says what to set', async () => {
    await assert.rejects(planNative(retakeSettings({}), { at: AT }), {
      code: 'config.invalid',
      hint: /RETAKE_SUPABASE_PROJECT/,
    })
    await assert.rejects(planNative(retakeSettings({ supabaseProject: REF }), { at: AT }), {
      code: 'supabase.denied',
      hint: /RETAKE_SUPABASE_TOKEN/,
    })
  })
})

describe('a plan in a file', () => {
  test('is read again, and refused when it is none or was changed', async () => {
    await using s = await start()
    const plan = await s.plan()
    assert.deepEqual(readNativePlan(JSON.parse(JSON.stringify(plan))), plan)
    const wrong = [
      null,
      {},
      { ...plan, kind: 'other' },
      { ...plan, projectRef: '../x' },
      { ...plan, targetUnix: plan.targetUnix - 1 },
      { ...plan, madeAt: 'today' },
    ]
    for (const value of wrong) assert.throws(() => readNativePlan(value), { code: 'config.invalid' })
  })
})
