/** What alert rules and dashboard say holds of what is really printed: metrics, labels and their values, commands. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseCommandLine } from '../../src/cli/program.ts'
import { familiesOf } from '../../src/monitor/testing/metrics-facts.ts'
import { dashboardExpressions, readDashboard, readRules, type Selector, selectorsOf } from './shipped.ts'

/** Of a cluster that is well, and of one whose project Supabase restores. */
const families = [familiesOf(), familiesOf({ measured: { 'native-backups': { projectStatus: 'RESTORING' } } })].flat()
const printed = new Map(
  [...Map.groupBy(families, ({ name }) => name)].map(([name, alike]) => [
    name,
    alike.flatMap(({ samples }) => samples.map(({ labels }) => labels)),
  ]),
)
const rules = readRules()

function isPrinted({ name, matchers }: Selector): boolean {
  return (printed.get(name) ?? []).some((labels) =>
    matchers.every(({ label, operator, value }) => {
      const there = labels[label] ?? ''
      if (label !== 'cluster' && labels[label] === undefined) return false
      const matches = operator.includes('~') ? new RegExp(`^(?:${value})$`).test(there) : there === value
      return operator.startsWith('!') ? !matches : matches
    }),
  )
}

const unprinted = (expressions: readonly string[]) =>
  expressions.flatMap((expr) =>
    selectorsOf(expr)
      .filter((selector) => !isPrinted(selector))
      .map(({ name, matchers }) => `${name} ${JSON.stringify(matchers)}`),
  )

describe('alert rules', () => {
  test('ask only for what is printed, down to the values of labels', () => {
    assert.deepEqual(unprinted(rules.map(({ expr }) => expr)), [])
    assert.ok(rules.every(({ expr }) => selectorsOf(expr).length > 0))
  })

  test('the check itself finds a metric, a label and a value that is not there', () => {
    const wrong = [
      'retake_no_such == 1',
      'retake_windows{kind="x"} == 1',
      'retake_check_state{state=~"bad|worse"} == 1',
    ]
    assert.equal(unprinted(wrong).length, 3)
  })

  test('have a name of their own, a severity, a patience, and say what happened and what to do', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
    for (const { alert, labels, annotations, for: patience } of rules) {
      assert.match(alert, /^Retake[A-Z]\w+$/)
      assert.match(labels.severity ?? '', /^(critical|warning)$/, alert)
      assert.match(patience, /^\d+[mh]$/, alert)
      assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'command'], alert)
    }
  })

  test('commands are ones that the command line takes', () => {
    for (const { alert, annotations } of rules) {
      const commands = (annotations.command ?? '').replaceAll('{{ $labels.cluster }}', 'main').split(' && ')
      for (const command of commands) {
        const [program, ...words] = command.split(' ')
        assert.equal(program, 'retake', alert)
        const parsed = parseCommandLine(words, '1.0.0')
        assert.equal(parsed.kind, 'run', `${alert}: ${command}`)
      }
    }
  })

  test('annotations name only labels that the expression leaves', () => {
    for (const { alert, expr, annotations } of rules) {
      const own = selectorsOf(expr).flatMap(({ name }) => Object.keys(printed.get(name)?.[0] ?? {}))
      const used = Object.values(annotations).flatMap((text) =>
        [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!),
      )
      const left = expr.startsWith('absent(') ? [] : own
      assert.deepEqual(
        used.filter((label) => !left.includes(label)),
        [],
        alert,
      )
    }
  })
})

describe('dashboard', () => {
  const { panels, templating } = readDashboard()

  test('shows only what is printed', () => {
    assert.deepEqual(unprinted(dashboardExpressions()), [])
    assert.ok(dashboardExpressions().length > 20)
  })

  test('every panel but the rows asks for something, of the chosen clusters', () => {
    for (const { title, type, targets, datasource } of panels) {
      if (type === 'row') continue
      assert.ok(targets && targets.length > 0, title)
      assert.match(datasource?.uid ?? '', /^\$\{datasource\}$/, title)
      for (const { expr } of targets) assert.match(expr, /cluster=~"\$cluster"/, `${title}: ${expr}`)
    }
    const [, cluster] = templating.list
    assert.deepEqual(
      templating.list.map(({ name }) => name),
      ['datasource', 'cluster'],
    )
    assert.match(JSON.stringify(cluster?.query), /label_values\(retake_collection_timestamp_seconds, cluster\)/)
  })

  test('panels have numbers of their own and do not lie on each other', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    assert.equal(new Set(cells).size, cells.length)
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
  })
})
