import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { metricsOf } from '../read-metrics.ts'
import { backupOf, familiesOf, type MetricsScene, reportOf } from '../testing/metrics-facts.ts'
import { catalogue } from './catalogue.ts'
import { epochSeconds } from './families.ts'
import { renderMetrics } from './render.ts'

/** Every line that is a sample, by its name and labels. */
function samplesOf(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]))
}

const look = (scene: MetricsScene = {}) => samplesOf(renderMetrics({ families: familiesOf(scene) }))
const named = (samples: Map<string, string>, name: string) =>
  [...samples.keys()].filter((key) => key === name || key.startsWith(`${name}{`))

describe('metrics', () => {
  test('where everything is known, every metric of the catalogue has a sample with its labels', () => {
    const families = familiesOf({
      facts: { drill: { ageMs: 1000, depth: 4, rtoMs: 60_000 } },
      backups: [
        backupOf(),
        backupOf({ backupId: 'b2', type: 'incremental', parent: 'b1', changedBytes: 1, label: 'x' }),
      ],
    })
    const missing = Object.keys(catalogue).filter((name) => !families.some((family) => family.name === name))
    // No cap holds where all is well.
    assert.deepEqual(missing, ['retake_health_cap'])
    for (const { name, samples } of families) {
      const own = name === 'retake_build_info' ? [] : ['cluster']
      const labels = [...own, ...catalogue[name as keyof typeof catalogue].labels].sort()
      for (const sample of samples) assert.deepEqual(Object.keys(sample.labels).sort(), labels, name)
      for (const { value } of samples) assert(Number.isFinite(value), `${name} ${value}`)
    }
  })

  test('values', () => {
    const samples = look({ facts: { exposureMs: 1500, openGaps: 2, missing: [] } })
    const expected = {
      'retake_verdict{cluster="main",verdict="ok"}': '1',
      'retake_verdict{cluster="main",verdict="endangered"}': '0',
      'retake_server_info{cluster="main",database="postgres",pg_version="17.0"}': '1',
      'retake_rpo_seconds{cluster="main"}': '1.5',
      'retake_wal_gaps{cluster="main",kind="open"}': '2',
      'retake_pitr_available{cluster="main"}': '0',
      'retake_check_state{cluster="main",check="wal",state="danger"}': '1',
      'retake_check_state{cluster="main",check="wal",state="passed"}': '0',
      'retake_health_cap{cluster="main",cap="wal-gap"}': '40',
      'retake_health_band{cluster="main",band="at-risk"}': '1',
      'retake_slot_wal_status{cluster="main",slot="retake_main",status="reserved"}': '1',
      'retake_slot_wal_status{cluster="main",slot="retake_main",status="lost"}': '0',
      'retake_slot_time_left_seconds{cluster="main",slot="retake_main"}': '230400',
      'retake_critical_table_exists{cluster="main",database="postgres",table="public.high",tier="high"}': '1',
      'retake_copy_state{cluster="main",copy="north",state="current"}': '1',
      'retake_copy_state{cluster="main",copy="north",state="behind"}': '0',
      'retake_backup_last_run{cluster="main",result="succeeded"}': '1',
      'retake_backup_duration_seconds{cluster="main",backup_name="20261122T085900Z-1f2e3d4c",backup_type="full"}': '60',
      'retake_backup_since_last_completion_seconds{cluster="main",backup_type="full"}': '10800',
      'retake_collection_duration_seconds{cluster="main"}': '0.25',
    }
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, samples.get(key)])), expected)
    assert.equal(epochSeconds('1970-01-01T00:01:00.500Z'), 60.5)
  })

  test('what is unknown is absent, and is its own state', () => {
    const everything = look()
    const samples = look({ facts: { unknown: ['exposure', 'slot', 'connectivity', 'keys'] }, backups: [] })
    for (const name of [
      'retake_rpo_seconds',
      'retake_slot_exists',
      'retake_receiver_up',
      'retake_server_up',
      'retake_keys',
    ]) {
      assert.notDeepEqual(named(everything, name), [], name)
      assert.deepEqual(named(samples, name), [], name)
    }
    assert.equal(samples.get('retake_check_state{cluster="main",check="slot",state="unknown"}'), '1')
    assert.equal(samples.get('retake_check_state{cluster="main",check="slot",state="passed"}'), '0')
    const pitr = 'retake_health_points{cluster="main",part="freshness",item="pitr-availability"}'
    assert.equal(everything.get(pitr), '7')
    assert.equal(samples.has(pitr), false)
    assert.deepEqual(named(samples, 'retake_pitr_available'), [])
    assert.deepEqual(named(samples, 'retake_backup_last_completion_timestamp_seconds'), [])
    const nothing = look({ facts: { repository: 'failed' } })
    assert.equal(nothing.get('retake_repo_up{cluster="main"}'), '0')
    assert.deepEqual(named(nothing, 'retake_backups'), [])
    const blind = look({ facts: { repository: 'unknown' } })
    assert.deepEqual(named(blind, 'retake_repo_up'), [])
    assert.deepEqual(named(blind, 'retake_health_score'), [])
    assert.equal(blind.get('retake_health_band{cluster="main",band="unknown"}'), '1')
  })

  test('of Supabase: nothing without a project, and 0 while it does not answer', () => {
    const everything = look()
    assert.equal(everything.get('retake_native_up{cluster="main"}'), '1')
    assert.equal(everything.get('retake_native_age_seconds{cluster="main"}'), '3600')
    assert.equal(everything.get('retake_native_retention_seconds{cluster="main"}'), '604800')
    const silent = look({ facts: { unknown: ['native-backups'] } })
    assert.equal(silent.get('retake_native_up{cluster="main"}'), '0')
    assert.deepEqual(named(silent, 'retake_native_age_seconds'), [])
    const report = reportOf()
    const checks = report.checks.map((check) =>
      check.name === 'native-backups' ? { ...check, state: 'skipped' as const, measured: undefined } : check,
    )
    const without = metricsOf({ report: { ...report, checks }, backups: [], durationMs: 1, limit: 1 })
    assert.deepEqual(
      without.filter(({ name }) => name.startsWith('retake_native')),
      [],
    )
  })

  test('nobody expects tables, so none is there and none is missing', () => {
    const samples = look({ facts: { tablesExpected: false }, measured: { 'critical-tables': { tables: [] } } })
    assert.deepEqual(named(samples, 'retake_critical_table_exists'), [])
  })

  test('only the newest backups have metrics of their own, and the last of each type is known nevertheless', () => {
    const backups = [
      backupOf({ backupId: 'b1' }),
      backupOf({ backupId: 'b2', type: 'incremental', stoppedAt: '2026-11-22T11:00:00.000Z', corruptBlockCount: 1 }),
      backupOf({ backupId: 'b3', type: 'incremental', stoppedAt: '2026-11-22T11:30:00.000Z' }),
    ]
    const names = (limit: number) =>
      named(look({ backups, limit }), 'retake_backup_info').map((key) => /backup_name="(\w+)"/.exec(key)?.[1])
    assert.deepEqual(names(2), ['b2', 'b3'])
    assert.deepEqual(names(0), [])
    const samples = look({ backups, limit: 2 })
    assert.equal(samples.get('retake_backup_since_last_completion_seconds{cluster="main",backup_type="full"}'), '10800')
    assert.equal(
      samples.get('retake_backup_since_last_completion_seconds{cluster="main",backup_type="incremental"}'),
      '1800',
    )
    assert.equal(
      samples.get('retake_backup_error_status{cluster="main",backup_name="b2",backup_type="incremental"}'),
      '1',
    )
  })

  test('backups that nobody could list are no backups that are missing', () => {
    const report = reportOf({ facts: { unknown: ['backup'] } })
    const families = metricsOf({ report, backups: undefined, durationMs: 1, limit: 9 })
    assert.deepEqual(
      families.map(({ name }) => name).filter((name) => /^retake_backup(?!_slots)/.test(name)),
      [],
    )
  })
})

describe('text', () => {
  const family = (labels: Record<string, string>, value = 1) => [
    {
      name: 'retake_x_seconds',
      type: 'gauge' as const,
      help: 'A "thing" \\ more\nlines',
      samples: [{ labels, value }],
    },
  ]

  test('labels and help are escaped as each format wants', () => {
    const families = family({ table: 'a"b\\c\nd', odd: 'x\ud800', none: '' })
    const line = 'retake_x_seconds{table="a\\"b\\\\c\\nd",odd="x\ufffd"} 1\n'
    assert.equal(
      renderMetrics({ families }),
      `# HELP retake_x_seconds A "thing" \\\\ more\\nlines\n# TYPE retake_x_seconds gauge\n${line}`,
    )
    assert.equal(
      renderMetrics({ families }, { format: 'openmetrics' }),
      `# HELP retake_x_seconds A \\"thing\\" \\\\ more\\nlines\n# TYPE retake_x_seconds gauge\n# UNIT retake_x_seconds seconds\n${line}# EOF\n`,
    )
  })

  test('OpenMetrics calls an info by its family; the older format knows none', () => {
    const families = familiesOf().filter(({ name }) => name === 'retake_build_info')
    assert.match(
      renderMetrics({ families }, { format: 'openmetrics' }),
      /^# HELP retake_build .*\n# TYPE retake_build info\nretake_build_info\{/,
    )
    assert.match(
      renderMetrics({ families }),
      /^# HELP retake_build_info .*\n# TYPE retake_build_info gauge\nretake_build_info\{/,
    )
  })

  test('numbers that are none', () => {
    const last = (value: number) =>
      renderMetrics({ families: family({}, value) })
        .split('\n')
        .at(-2)
    assert.deepEqual(
      [1e21, 0.1, -2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map(last),
      ['1e+21', '0.1', '-2', '+Inf', '-Inf', 'NaN'].map((text) => `retake_x_seconds ${text}`),
    )
  })

  test('several clusters: each metric once, no sample twice', () => {
    const reports = ['one', 'two'].map((cluster) => ({ families: familiesOf({ cluster }) }))
    const text = renderMetrics(reports)
    const types = text.split('\n').filter((line) => line.startsWith('# TYPE'))
    assert.equal(new Set(types).size, types.length)
    const keys = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    assert.equal(new Set(keys.map((line) => line.slice(0, line.lastIndexOf(' ')))).size, keys.length)
    assert.equal(text.match(/^retake_build_info/gm)?.length, 1)
    assert.deepEqual(
      text.match(/^retake_health_score\{.*\}/gm),
      ['one', 'two'].map((name) => `retake_health_score{cluster="${name}"}`),
    )
    assert.equal(renderMetrics([]), '')
  })
})
