/** `promtool` takes what is printed and shipped; and each alert fires in its scene, and no other one does. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { stringify } from 'yaml'
import type { MetricFamily } from '../../src/monitor/metrics/families.ts'
import { renderMetrics } from '../../src/monitor/metrics/render.ts'
import { NOW } from '../../src/monitor/testing/health-facts.ts'
import { backupOf, familiesOf, type MetricsScene } from '../../src/monitor/testing/metrics-facts.ts'
import { promtool, promtoolMissing } from '../support/promtool.ts'
import { makeTemp } from '../support/temp.ts'
import { type AlertScene, scenes } from './alert-scenes.ts'
import { dashboardExpressions, RULES_FILE, readRules, selectorsOf } from './shipped.ts'

const skip = promtoolMissing
const everything: MetricsScene = {
  facts: { drill: { ageMs: 1000, depth: 4, rtoMs: 60_000 }, openGaps: 1 },
  backups: [
    backupOf(),
    backupOf({ backupId: 'b2', type: 'incremental', parent: 'b1', changedBytes: 1, label: 'a "b" \\ \n' }),
  ],
}

describe('what is printed', () => {
  test('the text format', { skip }, () => {
    const { status, output } = promtool(['check', 'metrics'], renderMetrics({ families: familiesOf(everything) }))
    assert.deepEqual([status, output], [0, ''])
  })

  test('several clusters together', { skip }, () => {
    const reports = ['one', 'two'].map((cluster) => ({ families: familiesOf({ ...everything, cluster }) }))
    const { status, output } = promtool(['check', 'metrics'], renderMetrics(reports))
    assert.deepEqual([status, output], [0, ''])
  })

  test('OpenMetrics', { skip }, async () => {
    await using temp = makeTemp({ label: 'openmetrics' })
    const text = renderMetrics({ families: familiesOf(everything) }, { format: 'openmetrics' })
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
    // What reads OpenMetrics here wants times, which an exposition need not have.
    writeFileSync(temp.join('metrics'), text.replaceAll(/^(?!#)(.+)$/gm, '$1 1800000000'))
    const { status, output } = promtool([
      'tsdb',
      'create-blocks-from',
      'openmetrics',
      temp.join('metrics'),
      temp.join('db'),
    ])
    assert.equal(status, 0, output)
    assert.match(output, new RegExp(`\\b${samples} +${samples} +${samples}\\b`))
  })
})

describe('what is shipped', () => {
  test('the alert rules', { skip }, () => {
    const { status, output } = promtool(['check', 'rules', RULES_FILE])
    assert.equal(status, 0, output)
    assert.match(output, new RegExp(`SUCCESS: ${readRules().length} rules found`))
  })

  test('the expressions of the dashboard', { skip }, async () => {
    await using temp = makeTemp({ label: 'dashboard' })
    const rules = dashboardExpressions().map((expr, index) => ({ record: `panel:${index}`, expr }))
    writeFileSync(temp.join('rules.yaml'), stringify({ groups: [{ name: 'panels', rules }] }))
    const { status, output } = promtool(['check', 'rules', '--lint=none', temp.join('rules.yaml')])
    assert.equal(status, 0, output)
  })
})

const INTERVAL_MINUTES = 10
/** Longer than any alert is patient, but for those whose scene says otherwise. */
const END_MINUTES = 5 * 60

/** What no rule names only takes time. */
const asked = new Set(readRules().flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name)))

/** As promtool writes series: for the whole time the same values, at ages that are right at the end. */
function seriesOf(
  families: readonly MetricFamily[],
  { series: overrides = {}, endMinutes = END_MINUTES }: Pick<AlertScene, 'series' | 'endMinutes'>,
) {
  const steps = endMinutes / INTERVAL_MINUTES
  const relevant = families.filter(({ name }) => asked.has(name))
  const base = relevant.flatMap(({ name, samples }) =>
    samples.map(({ labels, value }) => {
      const pairs = Object.entries(labels).filter(([, text]) => text !== '')
      const series =
        pairs.length === 0 ? name : `${name}{${pairs.map(([key, text]) => `${key}=${JSON.stringify(text)}`).join(',')}}`
      if (name === 'retake_collection_timestamp_seconds')
        return [series, `0+${INTERVAL_MINUTES * 60}x${steps}`] as const
      const shown = name.endsWith('_timestamp_seconds') ? value - NOW.getTime() / 1000 + endMinutes * 60 : value
      return [series, `${shown}+0x${steps}`] as const
    }),
  )
  const all = new Map<string, string>(base)
  for (const [series, values] of Object.entries(overrides)) {
    if (values === '') assert.ok(all.delete(series), `${series} is not printed`)
    else all.set(series, values)
  }
  return [...all].map(([series, values]) => ({ series, values }))
}

describe('alerts', () => {
  test('every alert has a scene in which it fires', () => {
    const firing = new Set(scenes.flatMap(({ fires }) => fires))
    assert.deepEqual(
      readRules()
        .map(({ alert }) => alert)
        .filter((name) => !firing.has(name)),
      [],
    )
    assert.ok(
      scenes.some(({ fires }) => fires.length === 0),
      'a scene in which none fires',
    )
  })

  test('in each scene these alerts fire, and no others', { skip }, async () => {
    await using temp = makeTemp({ label: 'alerts' })
    writeFileSync(temp.join('test.yaml'), stringify(testsOf(scenes)))
    const { status, output } = promtool(['test', 'rules', temp.join('test.yaml')])
    assert.equal(status, 0, output)
  })

  test('a scene with one alert too many or too few is noticed', { skip }, async () => {
    await using temp = makeTemp({ label: 'alerts' })
    const [well] = scenes
    assert.ok(well)
    for (const wrong of [
      { ...well, fires: ['RetakeReceiverDown'] },
      { ...well, facts: { ...well.facts, receiving: false } },
    ]) {
      writeFileSync(temp.join('test.yaml'), stringify(testsOf([wrong])))
      const { status, output } = promtool(['test', 'rules', temp.join('test.yaml')])
      assert.equal(status, 1)
      assert.match(output, /RetakeReceiverDown/)
    }
  })
})

/** Each metric is printed of a cluster in which something of everything happened, such as a deletion. */
const quiet = { 'mass-deletions': { incidents: [] } } as const

/** What promtool is to try. https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
function testsOf(list: readonly AlertScene[]) {
  const severities = new Map(readRules().map(({ alert, labels }) => [alert, labels.severity]))
  return {
    rule_files: [RULES_FILE],
    evaluation_interval: `${INTERVAL_MINUTES}m`,
    tests: list.map(({ name, fires, ...scene }) => ({
      name,
      interval: `${INTERVAL_MINUTES}m`,
      input_series: seriesOf(familiesOf({ ...scene, measured: { ...quiet, ...scene.measured } }), scene),
      promql_expr_test: [
        {
          expr: 'group by (alertname, severity) (ALERTS{alertstate="firing"})',
          eval_time: `${scene.endMinutes ?? END_MINUTES}m`,
          exp_samples: fires.map((alert) => ({
            labels: `{alertname="${alert}",severity="${severities.get(alert)}"}`,
            value: 1,
          })),
        },
      ],
    })),
  }
}
