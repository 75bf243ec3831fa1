import { resolve } from 'node:path'
import type { HealthCheckResult } from '../../monitor/checks/result.ts'
import type { Objective } from '../../monitor/health/objectives.ts'
import type { HealthScore } from '../../monitor/health/score.ts'
import { type HealthReport, readHealth } from '../../monitor/read-health.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatDuration, renderFields, renderTable } from '../format.ts'
import { healthLimitMs, healthSubject, readEarlier } from '../health-look.ts'
import { optionInteger, optionText } from '../options.ts'
import type { Terminal } from '../terminal.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  const failUnder = optionInteger(options.failUnder, { name: '--fail-under', min: 0, max: 100 })
  const file = optionText(options.earlier)
  const earlier = file === undefined ? undefined : await readEarlier(resolve(context.directory, file))
  const report = await readHealth(await healthSubject(context), { signal, limitMs: healthLimitMs(options), earlier })
  return { data: report, text: render(report, terminal), problem: problemOf(report, failUnder) }
}

function problemOf({ verdict, score }: HealthReport, failUnder = 0): CommandOutcome['problem'] {
  if (verdict === 'endangered' || (score.value !== undefined && score.value < failUnder)) return 'health.failed'
  return verdict === 'unknown' ? 'health.unknown' : undefined
}

const VERDICTS = {
  ok: ['green', 'protected'],
  endangered: ['red', 'ENDANGERED'],
  unknown: ['yellow', 'UNKNOWN'],
} as const

function render(report: HealthReport, terminal: Terminal): string {
  const [color, word] = VERDICTS[report.verdict]
  const fields = renderFields([
    ['cluster', `${report.cluster}: ${terminal.paint(color, word)}`],
    ['score', renderScore(report.score)],
    ...headlineFields(report),
  ])
  const sections = [
    fields,
    renderParts(report.score),
    ['Checks', ...report.checks.map((check) => renderCheck(check, terminal))].join('\n'),
    renderObjectives(report.objectives),
  ]
  if (report.recommendations.length > 0) sections.push(renderRecommendations(report))
  return sections.join('\n\n')
}

function renderScore({ value, band, formula, points, caps, unknownBecause }: HealthScore): string {
  if (value === undefined) return `unknown: ${unknownBecause}`
  const [cap] = caps
  const capped = cap && cap.limit < points ? `\nnot above ${cap.limit}: ${cap.reason}` : ''
  return `${value} of 100, ${band} (formula ${formula})${capped}`
}

function headlineFields({ headline }: HealthReport): [string, string | undefined][] {
  const { recoverable, runs, completion, drills, sinceLastSuccess } = headline
  const percent = (share: number) => `${(share * 100).toFixed(2)} %`
  return [
    [
      'recoverable',
      recoverable.share === undefined
        ? 'unknown'
        : `${percent(recoverable.share)} of the minutes of ${formatDuration(recoverable.observedMs)} (target ${percent(recoverable.target)})`,
    ],
    [
      'backups that came',
      runs.share === undefined
        ? 'unknown'
        : `${runs.slots - runs.missed} of ${runs.slots} due since ${runs.since} (target ${percent(runs.target)})`,
    ],
    [
      'drills that passed',
      drills.share === undefined ? 'none yet' : `${Math.round(drills.share * drills.counted)} of ${drills.counted}`,
    ],
    [
      'last backup',
      sinceLastSuccess.ageMs === undefined
        ? 'unknown'
        : `${formatDuration(sinceLastSuccess.ageMs)} old${sinceLastSuccess.limitMs === undefined ? '' : ` (late after ${formatDuration(sinceLastSuccess.limitMs)})`}${completion.lastMs === undefined ? '' : `, took ${formatDuration(completion.lastMs)}`}`,
    ],
  ]
}

function renderParts({ parts }: HealthScore): string {
  const rows = parts.flatMap(({ title, items }) =>
    items.map((item, index) => ({ part: index === 0 ? title : '', ...item })),
  )
  return renderTable(rows, [
    { title: 'PART', value: ({ part }) => part },
    { title: 'ITEM', value: ({ title }) => title },
    { title: 'POINTS', align: 'right', value: ({ points }) => points.toFixed(1) },
    { title: 'OF', align: 'right', value: ({ weight }) => String(weight) },
    { title: '', value: ({ isUnknown }) => (isUnknown ? 'unknown' : '') },
  ])
}

const MARKS = {
  passed: ['ok     ', 'green'],
  danger: ['FAILED ', 'red'],
  warning: ['warning', 'yellow'],
  skipped: ['skipped', 'gray'],
  unknown: ['UNKNOWN', 'yellow'],
} as const

function renderCheck({ state, severity, title, finding, fix }: HealthCheckResult, terminal: Terminal): string {
  const [mark, color] = MARKS[state === 'failed' ? (severity ?? 'danger') : state]
  const line = `  ${terminal.paint(color, mark)}  ${title}: ${finding}`
  return fix === undefined || state === 'passed' ? line : `${line}\n           fix: ${fix}`
}

function renderObjectives(objectives: readonly Objective[]): string {
  const table = renderTable(objectives, [
    { title: 'OBJECTIVE', value: ({ kind, title }) => `${kind.toUpperCase()}: ${title}` },
    { title: 'TARGET', align: 'right', value: ({ targetMs }) => formatDuration(targetMs) },
    {
      title: 'MEASURED',
      align: 'right',
      value: ({ measuredMs }) => (measuredMs === undefined ? '–' : formatDuration(measuredMs)),
    },
    { title: '', value: ({ state }) => (state === 'missed' ? 'MISSED' : state) },
  ])
  return table
}

function renderRecommendations({ recommendations }: HealthReport): string {
  const lines = recommendations.map(({ points, lost, liftsCap, reason, fix }) => {
    const wins =
      liftsCap !== undefined
        ? `lifts the limit of ${liftsCap}`
        : points > 0
          ? `+${points.toFixed(1)}`
          : lost > 0
            ? `${lost.toFixed(1)} lost`
            : 'no points'
    return `  ${wins}: ${reason}\n      ${fix}`
  })
  return ['What to do, the most effective first', ...lines].join('\n')
}
