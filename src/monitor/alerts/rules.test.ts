/** Every rule: what it sees in a report in which it is so, in one in which it is not, and in one in which nobody knows. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MassDeletion, Measurements } from '../checks/measurements.ts'
import type { HealthCheckName, HealthCheckResult, Severity } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import type { AlertRule, Past } from './rule.ts'
import { alertRules } from './rules.ts'
import { reportOf } from './testing/reports.ts'

const NOW = new Date('2026-11-23T12:00:00Z')
const AT = NOW.toISOString()
const EARLIER = '2026-11-23T11:00:00.000Z'
const HOUR_MS = 3_600_000

const common = { title: 'A check', at: AT, durationMs: 1, finding: 'What was found.', fix: 'What to do.' } as const

/** The measurements are those of the check of this name. */
function measure<N extends HealthCheckName>(name: N, measured: Measurements[N]): HealthCheckResult<N> {
  return { ...common, name, state: 'passed', measured }
}

const fail = (name: HealthCheckName, severity: Severity): HealthCheckResult =>
  ({ ...common, name, state: 'failed', severity }) as HealthCheckResult
const pass = (name: HealthCheckName): HealthCheckResult => ({ ...common, name, state: 'passed' }) as HealthCheckResult
const noResult = (name: HealthCheckName): HealthCheckResult =>
  ({ ...common, name, state: 'unknown' }) as HealthCheckResult

interface Scene {
  readonly checks?: readonly HealthCheckResult[]
  readonly report?: Partial<HealthReport>
  readonly past?: Past
}

interface Row {
  readonly firing: readonly Scene[]
  readonly clear: readonly Scene[]
  readonly unknown: readonly Scene[]
}

const scene = (...checks: HealthCheckResult[]): Scene => ({ checks })

/** A rule that says what the verdict of a check is. */
const byVerdict = (name: HealthCheckName, ...severities: Severity[]): Row => ({
  firing: severities.map((severity) => scene(fail(name, severity))),
  clear: [
    scene(pass(name)),
    ...(['danger', 'warning'] as const).filter((one) => !severities.includes(one)).map((one) => scene(fail(name, one))),
  ],
  unknown: [scene(noResult(name))],
})

/** A rule that judges what a check has measured. */
function byMeasure<N extends HealthCheckName>(
  name: N,
  base: Measurements[N],
  {
    firing,
    clear = [],
    unknown = [],
  }: Readonly<Partial<Record<'firing' | 'clear' | 'unknown', readonly Partial<Measurements[N]>[]>>>,
): Row {
  const scenes = (changes: readonly Partial<Measurements[N]>[] = []) =>
    changes.map((change) => scene(measure(name, { ...base, ...change })))
  return {
    firing: scenes(firing),
    clear: [scene(measure(name, base)), ...scenes(clear)],
    unknown: [scene(noResult(name)), ...scenes(unknown)],
  }
}

const last: NonNullable<Measurements['backup']['last']> = {
  ...{ backupId: 'b', startedAt: AT, stoppedAt: AT, durationMs: 1, storedBytes: 1, corruptBlocks: 0 },
  type: 'full',
}
const backup: Measurements['backup'] = {
  ...{ count: 1, unusable: [], usable: 1, last, ageMs: 1, maxAgeMs: 25 * HOUR_MS },
  lastRun: 'succeeded',
  failedRuns: [],
}
const wal: Measurements['wal'] = {
  ...{ windows: 1, openGaps: 0, pastGaps: 1, damagedObjects: 0, observedMs: 1, stretches: [] },
}
const exposure: Measurements['exposure'] = { state: 'behind', exposureMs: 30_000, targetMs: 60_000 }
const slot: Measurements['slot'] = {
  ...{ slot: 's', exists: true, active: false, keepsUp: false, walStatus: 'extended', hoursLeft: 100, receiver: true },
}
const { hoursLeft: _notKnown, ...slotWithoutRate } = slot
const users = { table: 'public.users', tier: 'high' } as const
const logs = { table: 'public.logs', tier: 'low' } as const
const tables: Measurements['critical-tables'] = {
  ...{ database: 'app', expectedBy: 'configuration', missing: [], shrunk: [] },
  tables: [{ ...users, exists: true, rows: 10 }],
}
const lost = [{ before: 100, at: EARLIER, seenAt: AT }]
const native: Measurements['native-backups'] = {
  ...{ project: 'p', projectStatus: 'ACTIVE_HEALTHY', pitr: true, count: 0, failed: 0 },
  ...{ maxAgeMs: HOUR_MS, coveredBy: 'both' },
}
const bookmark = { readAt: AT, timeline: 1, lsn: '0/1', resumeLsn: '0/1', habits: {}, habitsSince: AT, incidents: [] }
const watched: Measurements['mass-deletions'] = { toLsn: '0/1', behindBytes: 0, incidents: [], bookmark }
const deletion = (tier?: MassDeletion['tier']): MassDeletion => ({
  ...{
    kind: 'mass-delete',
    what: 'All rows of public.users deleted',
    target: 'public.users',
    tables: ['public.users'],
  },
  ...{ lsn: '0/1', before: 'before-xid:7', seenAt: AT },
  ...(tier === undefined ? {} : { tier }),
})
const size = { totalBytes: 10, medianBytes: 10, before: 5 }
const disk: Measurements['disk'] = {
  ...{ freeBytes: 100, totalBytes: 1000 },
  forecast: { growthBytesPerDay: 5, daysLeft: 20, watchedMs: 48 * HOUR_MS },
}
const filling = (daysLeft: number) => ({
  forecast: { growthBytesPerDay: 100 / daysLeft, daysLeft, watchedMs: HOUR_MS },
})
const missedRun = { schedule: 'nightly', task: 'backup', outcome: 'missed', at: EARLIER } as const
const rto = (state: 'met' | 'missed' | 'unknown'): Scene => ({
  report: { objectives: [{ name: 'rto-data', title: 'x', kind: 'rto', targetMs: 1, state, finding: 'As found.' }] },
})
const scored = (value: number | undefined): Partial<HealthReport> => {
  const { value: _made, unknownBecause: _why, ...score } = reportOf({}, NOW).score
  return { score: { ...score, ...(value === undefined ? { unknownBecause: 'Too little is known.' } : { value }) } }
}
const dropped: Past = { scores: { formula: 1, best: [], losses: [{ before: 95, at: EARLIER, seenAt: AT }] } }

const rows: Readonly<Record<string, Row>> = {
  'database-unreachable': byVerdict('connectivity', 'danger', 'warning'),
  'repository-unreachable': byVerdict('repository', 'danger', 'warning'),
  'no-restorable-backup': byMeasure('backup', backup, { firing: [{ usable: 0 }, { usable: 0, count: 0 }] }),
  'pitr-unavailable': byMeasure('wal', wal, { firing: [{ windows: 0 }, { openGaps: 1 }, { damagedObjects: 1 }] }),
  'rpo-exceeded': byVerdict('exposure', 'danger'),
  'rpo-half-used': byMeasure('exposure', exposure, {
    firing: [{ exposureMs: 30_001 }],
    unknown: [{ exposureMs: undefined }],
  }),
  'receiver-down': byMeasure('slot', slot, { firing: [{ receiver: false }], unknown: [{ receiver: undefined }] }),
  'slot-lost': byMeasure('slot', slot, { firing: [{ exists: false }, { walStatus: 'lost' }] }),
  'slot-nearly-lost': {
    ...byMeasure('slot', slot, {
      firing: [{ hoursLeft: 3.9 }, { hoursLeft: 3.9, active: true }, { walStatus: 'unreserved' }],
      clear: [{ hoursLeft: 4 }, { hoursLeft: 1, active: true, keepsUp: true }],
    }),
    unknown: [scene(noResult('slot')), scene(measure('slot', slotWithoutRate))],
  },
  'slot-filling': {
    ...byMeasure('slot', slot, {
      firing: [{ hoursLeft: 23.9 }, { hoursLeft: 23.9, active: true }],
      clear: [{ hoursLeft: 24 }, { hoursLeft: 1, active: true, keepsUp: true }],
    }),
    unknown: [scene(noResult('slot')), scene(measure('slot', slotWithoutRate))],
  },
  'backup-failed': byMeasure('backup', backup, { firing: [{ lastRun: 'failed' }], clear: [{ lastRun: 'running' }] }),
  'backup-still-failing': byMeasure('backup', backup, { firing: [{ lastRun: 'failed' }] }),
  'backup-late': byMeasure('backup', backup, {
    firing: [{ ageMs: 25 * HOUR_MS + 1 }],
    clear: [{ ageMs: 25 * HOUR_MS }, { ageMs: undefined }],
  }),
  'backup-never-ends': byMeasure('backup', backup, { firing: [{ lastRun: 'running' }] }),
  'page-checksum': byMeasure('backup', backup, {
    firing: [{ last: { ...last, corruptBlocks: 1 } }],
    clear: [{ last: undefined }],
  }),
  'backup-size-anomaly': byMeasure('backup', backup, {
    firing: [{ size: { ...size, totalBytes: 30, unusualSince: EARLIER } }],
    clear: [{ size }],
  }),
  'schedule-missed': byMeasure(
    'schedules',
    { missed: [], missedRuns: [], unknown: [] },
    { firing: [{ missed: [missedRun] }], clear: [{ missedRuns: [missedRun] }], unknown: [{ unknown: ['nightly'] }] },
  ),
  'critical-table-missing': byMeasure('critical-tables', tables, {
    firing: [{ missing: [users] }, { missing: [{ ...users, tier: 'medium' }] }],
    clear: [{ missing: [logs] }],
  }),
  'minor-table-missing': byMeasure('critical-tables', tables, {
    firing: [{ missing: [logs] }],
    clear: [{ missing: [users] }],
  }),
  'critical-table-shrunk': byMeasure('critical-tables', tables, {
    firing: [{ shrunk: [users.table], tables: [{ ...users, exists: true, rows: 10, losses: lost }] }],
    unknown: [{ tables: [{ ...users, exists: false, losses: lost }] }],
  }),
  'mass-deletion': byMeasure('mass-deletions', watched, {
    firing: [
      { incidents: [deletion('high')] },
      { incidents: [deletion('medium')] },
      { incidents: [{ ...deletion(), kind: 'drop-database', tables: [], target: 'The database app dropped' }] },
    ],
    clear: [{ incidents: [deletion('low')] }, { incidents: [deletion()] }],
  }),
  'mass-deletion-elsewhere': byMeasure('mass-deletions', watched, {
    firing: [{ incidents: [deletion('low')] }, { incidents: [deletion()] }],
    clear: [{ incidents: [deletion('high')] }],
  }),
  'damage-found': byVerdict('verification', 'danger'),
  'verification-overdue': byVerdict('verification', 'warning'),
  'drill-failed': byVerdict('drill', 'danger'),
  'drill-overdue': byVerdict('drill', 'warning'),
  'rto-missed': { firing: [rto('missed')], clear: [rto('met')], unknown: [rto('unknown')] },
  'retention-short': byVerdict('retention', 'danger', 'warning'),
  'keys-need-care': byVerdict('keys', 'danger', 'warning'),
  'copy-missing': byVerdict('mirrors', 'danger'),
  'copy-behind': byVerdict('mirrors', 'warning'),
  'native-backups-bad': byVerdict('native-backups', 'danger', 'warning'),
  'native-restore-running': byMeasure('native-backups', native, {
    firing: [{ projectStatus: 'RESTORING' }],
    clear: [{ projectStatus: 'INACTIVE' }],
  }),
  'disk-low': byVerdict('disk', 'danger', 'warning'),
  'disk-fills-soon': byMeasure('disk', disk, {
    firing: [filling(13.9)],
    clear: [filling(14), { forecast: { growthBytesPerDay: -1, watchedMs: HOUR_MS } }],
    unknown: [{ forecast: undefined }],
  }),
  'disk-nearly-full': byMeasure('disk', disk, {
    firing: [filling(2.9)],
    clear: [filling(3)],
    unknown: [{ forecast: undefined }],
  }),
  'coverage-regressed': byMeasure(
    'configuration',
    { outside: false },
    { firing: [{ outside: true, outsideSince: EARLIER }], clear: [{ outside: true }] },
  ),
  'clock-skew': byVerdict('clock', 'danger', 'warning'),
  'looking-failed': { firing: [], clear: [{}], unknown: [] },
  // Of a server, and of no cluster.
  'channel-failing': { firing: [], clear: [], unknown: [] },
  // What is unknown is what these are about.
  'check-unknown': { firing: [scene(noResult('keys'))], clear: [scene(pass('keys'))], unknown: [] },
  'score-unknown': {
    firing: [{ report: scored(undefined) }],
    clear: [{ report: scored(10) }],
    unknown: [],
  },
  'score-dropped': {
    firing: [{ report: scored(70), past: dropped }],
    clear: [{ report: scored(70) }],
    unknown: [{ report: scored(undefined), past: dropped }],
  },
}

/** The worst that a rule sees in a report of just these checks. */
function statesOf(rule: AlertRule, { checks = [], report = {}, past = {} }: Scene): string {
  const seen = rule.look({ ...reportOf({}, NOW), checks, ...report }, past)
  for (const { finding, fix, newestAt } of seen.filter(({ state }) => state === 'firing')) {
    assert.ok(finding !== '' && fix !== '', 'it says what was found, and what to do')
    assert.ok(!rule.endsWithAcknowledgement || newestAt !== undefined, 'it says when it happened last')
  }
  return ['firing', 'unknown', 'clear'].find((state) => seen.some((one) => one.state === state)) ?? 'nothing'
}

describe('every rule', () => {
  test('has its row', () => {
    assert.deepEqual(Object.keys(rows).sort(), alertRules.map(({ name }) => name).sort())
    assert.equal(new Set(alertRules.map(({ name }) => name)).size, alertRules.length)
  })

  for (const rule of alertRules) {
    const row = rows[rule.name]
    if (!row) continue
    for (const state of ['firing', 'clear', 'unknown'] as const) {
      row[state].forEach((one, index) => {
        test(`${rule.name} ${state} ${index + 1}`, () => assert.equal(statesOf(rule, one), state))
      })
    }
  }

  test('is explained by rules that there are, and none by itself', () => {
    const names = new Set(alertRules.map(({ name }) => name))
    for (const { name, inhibitedBy } of alertRules) {
      assert.ok(
        inhibitedBy.every((one) => names.has(one) && one !== name),
        name,
      )
    }
  })

  test('says nothing for certain of a report without the checks that it needs', () => {
    for (const rule of alertRules.filter(({ checks, name }) => checks.length > 0 && name !== 'score-unknown')) {
      const state = statesOf(rule, { report: { objectives: [] } })
      assert.ok(state === 'unknown' || state === 'nothing', `${rule.name}: ${state}`)
    }
  })

  test('sees a look without a report as it is', () => {
    const failed = { cluster: 'main', failed: { finding: 'It failed.', fix: 'retake doctor' } }
    const seeing = alertRules.filter(({ lookWithout }) => lookWithout?.(failed).some(({ state }) => state === 'firing'))
    assert.deepEqual(
      seeing.map(({ name }) => name),
      ['looking-failed'],
    )
  })

  test('sees channels that fail where a server looks at its own, each by itself', () => {
    const failing = { since: new Date(EARLIER), message: 'Nobody is there.' }
    const own = { cluster: 'retake-server', channels: [{ name: 'mail' }, { name: 'pager', failing }] }
    const seen = alertRules.flatMap(({ name, lookWithout }) =>
      (lookWithout?.(own) ?? []).map(({ target, state, finding, fix }) => [name, target, state, finding, fix]),
    )
    assert.deepEqual(seen, [
      ['channel-failing', '', 'clear', '', ''],
      ['channel-failing', 'mail', 'clear', '', ''],
      [
        'channel-failing',
        'pager',
        'firing',
        `Since ${EARLIER}: Nobody is there.`,
        'retake alerts test pager   # says what is wrong',
      ],
    ])
  })
})
