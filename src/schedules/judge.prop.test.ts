/** Outcomes over a simulated year: whoever begins what is due, is found on schedule; what did not come is named, once each. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type DueRun, dueAfter } from './due.ts'
import { type Evidence, judgeSchedule, type KnownRun, type RunOutcome } from './judge.ts'
import { type Schedule, type ScheduleConfig, scheduleOf } from './schedule.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const cluster = 'main'

const at = (text: string) => new Date(text)
const nightly = scheduleOf({ name: 'backup', task: 'backup', cron: '0 2 * * *' })
const began = (text: string, outcome: KnownRun['outcome'] = 'succeeded'): KnownRun => ({ beganAt: at(text), outcome })

function outcomes(now: string, evidence: Partial<Evidence>, schedule: Schedule = nightly): RunOutcome[] {
  const all = { runs: [], knownFrom: at('2026-01-01T00:00:00Z'), begin: at('2026-03-01T00:00:00Z'), ...evidence }
  return judgeSchedule(schedule, { cluster, evidence: all, now: at(now) }).runs.map(({ outcome }) => outcome)
}
const verdict = (now: string, evidence: Partial<Evidence>) => {
  const all = { runs: [], knownFrom: at('2026-01-01T00:00:00Z'), begin: at('2026-03-01T00:00:00Z'), ...evidence }
  return judgeSchedule(nightly, { cluster, evidence: all, now: at(now) }).verdict
}

describe('outcomes', () => {
  test('due, late, missed: by the grace and the next one', () => {
    assert.deepEqual(outcomes('2026-03-01T01:59:00Z', {}), [])
    assert.equal(verdict('2026-03-01T01:59:00Z', {}), 'ok')
    assert.deepEqual(outcomes('2026-03-01T02:00:00Z', {}), ['due'])
    assert.deepEqual(outcomes('2026-03-01T03:00:00Z', {}), ['due'])
    assert.equal(verdict('2026-03-01T03:00:00Z', {}), 'ok')
    assert.deepEqual(outcomes('2026-03-01T03:00:01Z', {}), ['late'])
    assert.equal(verdict('2026-03-01T03:00:01Z', {}), 'missed')
    assert.deepEqual(outcomes('2026-03-02T02:30:00Z', {}), ['missed', 'due'])
    assert.equal(verdict('2026-03-02T02:30:00Z', {}), 'missed', 'that the next one is due makes nothing good')
  })

  test('failed, running, made good by a retry, and by the next one', () => {
    const failed = began('2026-03-01T02:00:03Z', 'failed')
    assert.deepEqual(outcomes('2026-03-01T02:10:00Z', { runs: [failed] }), ['failed'])
    assert.equal(verdict('2026-03-01T02:10:00Z', { runs: [failed] }), 'missed')
    const running = [failed, began('2026-03-01T02:20:00Z', 'running')]
    assert.deepEqual(outcomes('2026-03-01T02:30:00Z', { runs: running }), ['running'])
    assert.equal(verdict('2026-03-01T02:30:00Z', { runs: running }), 'ok')
    const again = [failed, began('2026-03-01T02:20:00Z')]
    assert.deepEqual(outcomes('2026-03-01T12:00:00Z', { runs: again }), ['succeeded'])
    const next = [failed, began('2026-03-02T02:00:00Z')]
    assert.deepEqual(outcomes('2026-03-02T12:00:00Z', { runs: next }), ['failed', 'succeeded'])
    assert.equal(verdict('2026-03-02T12:00:00Z', { runs: next }), 'ok')
  })

  test('one that began after the grace succeeded, and was late', () => {
    const evidence = { runs: [began('2026-03-01T09:00:00Z')], knownFrom: at('2026-03-01T00:00:00Z') }
    const [run] = judgeSchedule(nightly, { cluster, evidence, now: at('2026-03-01T12:00:00Z') }).runs.slice(-1)
    assert.deepEqual([run?.outcome, run?.beganLate], ['succeeded', true])
  })

  test('before what is known, absence is unknown; before the cluster, nothing was due', () => {
    const knownFrom = at('2026-03-03T00:00:00Z')
    const now = '2026-03-04T12:00:00Z'
    assert.deepEqual(outcomes(now, { knownFrom }), ['unknown', 'unknown', 'missed', 'late'])
    assert.deepEqual(outcomes(now, { knownFrom, runs: [began('2026-03-02T02:00:00Z')] }), [
      'unknown',
      'succeeded',
      'missed',
      'late',
    ])
    assert.equal(verdict(now, { knownFrom: at('2026-03-05T00:00:00Z') }), 'unknown')
    const since = scheduleOf({ name: 'b', task: 'backup', cron: '0 2 * * *', since: '2026-03-03T05:00:00+02:00' })
    assert.deepEqual(outcomes(now, {}, since), ['late'])
  })

  test('before anybody is known to have kept it, only what came is said', () => {
    const keptFrom = at('2026-03-03T12:00:00Z')
    const runs = [began('2026-03-02T02:00:00Z'), began('2026-03-03T02:00:00Z', 'failed')]
    assert.deepEqual(outcomes('2026-03-05T12:00:00Z', { runs, keptFrom }), ['succeeded', 'failed', 'missed', 'late'])
    assert.deepEqual(outcomes('2026-03-04T01:00:00Z', { keptFrom }), [])
    assert.equal(verdict('2026-03-04T01:00:00Z', { keptFrom }), 'ok')
    // From then on as always.
    assert.equal(verdict('2026-03-04T03:00:01Z', { keptFrom }), 'missed')
    assert.deepEqual(outcomes('2026-03-04T12:00:00Z', { keptFrom, idleFrom: at('2026-03-01T00:00:00Z') }), ['idle'])
  })

  test('idle: nothing to do, or done without a trace', () => {
    const evidence = { knownFrom: at('2026-03-05T00:00:00Z'), idleFrom: at('2026-03-04T02:00:00Z') }
    assert.deepEqual(outcomes('2026-03-04T12:00:00Z', evidence).slice(-2), ['unknown', 'idle'])
    assert.equal(verdict('2026-03-04T12:00:00Z', evidence), 'ok')
  })

  test('one that is due once a year is judged as well', () => {
    const yearly = scheduleOf({ name: 'b', task: 'backup', cron: '@yearly' })
    const begin = at('2020-01-01T00:00:00Z')
    assert.deepEqual(outcomes('2026-11-01T00:00:00Z', { begin }, yearly), ['unknown', 'late'])
  })
})

const someSchedule = fc
  .record({
    cron: fc.constantFrom(
      '0 2 * * *',
      '30 2 * * *',
      '30 1 * * *',
      '0 */6 * * *',
      '0 0 * * *',
      '0 3 * * sun',
      '15 1,2 * * mon-fri',
    ),
    zone: fc.constantFrom('UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Santiago'),
    jitterMinutes: fc.constantFrom(0, 20),
    isBlackedOut: fc.boolean(),
  })
  .map(
    ({ isBlackedOut, ...rest }): ScheduleConfig => ({
      name: 'backup',
      task: 'backup',
      graceMinutes: 30,
      ...rest,
      ...(isBlackedOut ? { blackouts: [{ cron: '0 1 * * sat', minutes: 180 }] } : {}),
    }),
  )

/** What a runner that polls does: it begins whatever has come since it last looked. */
function simulate(schedule: Schedule, days: number, pollMs: number): DueRun[] {
  const begun: DueRun[] = []
  let lookedAt = Date.parse('2026-01-01T00:00:00Z')
  const endMs = lookedAt + days * DAY_MS
  while (lookedAt < endMs) {
    const now = Math.min(endMs, lookedAt + pollMs)
    for (const run of dueAfter(schedule, { cluster, after: new Date(lookedAt) })) {
      if (run.startAt.getTime() > now) break
      begun.push(run)
    }
    lookedAt = now
  }
  return begun
}

describe('a simulated year', () => {
  test('however often one looks, each run is begun once: none double, none lost', () => {
    fc.assert(
      fc.property(someSchedule, fc.integer({ min: 720, max: 6000 }), (config, pollMinutes) => {
        const schedule = scheduleOf(config)
        const polled = simulate(schedule, 366, pollMinutes * MINUTE_MS)
        const atOnce = simulate(schedule, 366, 366 * DAY_MS)
        assert.deepEqual(polled, atOnce)
        assert.equal(new Set(polled.map(({ startAt }) => startAt.getTime())).size, polled.length)
        assert.ok(polled.length > 50)
      }),
      { numRuns: 8 },
    )
  })

  test('what came is succeeded, what did not is missed, and each is said of its own run', () => {
    const facts = fc.record({
      config: someSchedule,
      fates: fc.array(fc.constantFrom('ran', 'ran', 'skipped', 'failed'), { minLength: 5, maxLength: 20 }),
      beginDay: fc.integer({ min: 40, max: 330 }),
      delayMinutes: fc.integer({ min: 0, max: 29 }),
    })
    fc.assert(
      fc.property(facts, ({ config, fates, beginDay, delayMinutes }) => {
        const schedule = scheduleOf(config)
        const begin = new Date(Date.parse('2026-01-01T12:00:30Z') + beginDay * DAY_MS)
        const due = [...dueAfter(schedule, { cluster, after: begin }).take(fates.length + 1)].filter(
          (run) => run.at >= begin,
        )
        const last = due.at(-2)
        const end = due.at(-1)
        if (!last || !end || end.startAt.getTime() - begin.getTime() > 30 * DAY_MS) return
        const known = due.slice(0, -1)
        const runs = known.flatMap(({ startAt }, index): KnownRun[] => {
          if (fates[index] === 'skipped') return []
          const beganAt = new Date(startAt.getTime() + delayMinutes * MINUTE_MS)
          return [{ beganAt, outcome: fates[index] === 'ran' ? 'succeeded' : 'failed' }]
        })
        const now = new Date(end.at.getTime() - 1)
        const judged = judgeSchedule(schedule, { cluster, evidence: { runs, begin, knownFrom: begin }, now })
        const words = { ran: 'succeeded', skipped: 'missed', failed: 'failed' } as const
        const expected = known.map((run, index) => {
          const isLast = index === known.length - 1
          const word = words[fates[index] ?? 'ran']
          const graceEndMs = Math.max(run.startAt.getTime(), run.at.getTime() + schedule.jitterMs) + schedule.graceMs
          return isLast && word === 'missed' ? (now.getTime() > graceEndMs ? 'late' : 'due') : word
        })
        assert.deepEqual(
          judged.runs.map(({ outcome }) => outcome),
          expected,
        )
        assert.ok(judged.runs.every(({ beganLate }) => !beganLate))
      }),
      { numRuns: 100 },
    )
  })
})
