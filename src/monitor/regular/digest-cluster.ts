/** What a digest says of one cluster. What is not known is said; what is too old speaks of then, not of now. Pure. */
import type { NoticeSection } from '../alerts/notice.ts'
import type { Measurements } from '../checks/measurements.ts'
import { type HealthCheckName, resultOf } from '../checks/result.ts'
import { KIT_PROOF_MAX_AGE_MS } from '../health/limits.ts'
import type { HealthReport } from '../read-health.ts'
import { roughly } from './instants.ts'

export interface DigestCluster {
  readonly name: string
  /** The last look; undefined: there was none. */
  readonly report?: HealthReport | undefined
  /** The score a day before. Undefined: nobody looked then. */
  readonly dayBefore?: { readonly value?: number | undefined; readonly formula: number } | undefined
  /** What ended in the time of the digest. */
  readonly runs: readonly RunCount[]
  /** What is due next, in this order. */
  readonly next: readonly { readonly name: string; readonly at: Date }[]
}

export interface RunCount {
  readonly task: string
  readonly outcome: 'succeeded' | 'failed' | 'cancelled'
  readonly count: number
}

/** The worst first. */
export const STANDINGS = ['endangered', 'unknown', 'needs care', 'well'] as const
export type Standing = (typeof STANDINGS)[number]

export interface ClusterView {
  readonly now: Date
  /** A look that is older says nothing of now. */
  readonly staleAfterMs: number
  readonly instant: (at: Date | string) => string
  /** The worst of its open alerts. */
  readonly worst?: 'critical' | 'warning' | 'info' | undefined
}

export function standingOf({ report }: DigestCluster, view: ClusterView): Standing {
  if (view.worst === 'critical') return 'endangered'
  if (!report || isStale(report, view)) return 'unknown'
  if (report.verdict === 'endangered') return 'endangered'
  if (report.score.value === undefined) return 'unknown'
  const isWell = report.verdict === 'ok' && report.score.band === 'good' && view.worst !== 'warning'
  return isWell ? 'well' : 'needs care'
}

function isStale({ at }: HealthReport, { now, staleAfterMs }: ClusterView): boolean {
  return now.getTime() - Date.parse(at) > staleAfterMs
}

export function sectionOf(cluster: DigestCluster, view: ClusterView): NoticeSection {
  const { name, report } = cluster
  const standing = standingOf(cluster, view)
  if (!report) {
    const text = 'Nobody has looked at it yet.'
    return { heading: `${name}: ${standing}`, rows: [{ label: 'Unknown', text }, ...ranAndNext(cluster, view)] }
  }
  const stale = isStale(report, view)
    ? [{ label: 'Unknown', text: `Not looked at since ${view.instant(report.at)}: what follows was so then.` }]
    : []
  return {
    heading: `${name}: ${standing}`,
    rows: [
      ...stale,
      { label: 'Score', text: scoreText(report, cluster.dayBefore) },
      { label: 'Recoverable', text: windowText(report, view) },
      { label: 'Last backup', text: backupText(report, view) },
      ...ranAndNext(cluster, view),
      { label: 'Coming due', text: comingDue(report, view).join('; ') },
      ...unknownRows(report),
    ],
  }
}

function scoreText({ score }: HealthReport, before: DigestCluster['dayBefore']): string {
  const now =
    score.value === undefined
      ? `unknown (${score.unknownBecause ?? 'too little is known'})`
      : `${score.value} of 100, ${score.band}`
  if (!before) return `${now}; the day before: unknown`
  if (before.formula !== score.formula) return `${now}; the day before it was computed by another formula`
  const then = before.value === undefined ? 'unknown' : String(before.value)
  return before.value === score.value ? `${now}; the same as the day before` : `${now}; the day before: ${then}`
}

/** What a check measured; a text that says why that is not known. */
function found<N extends HealthCheckName>(report: HealthReport, name: N): Measurements[N] | string {
  const result = resultOf(report.checks, name)
  if (!result) return 'unknown: not looked at'
  return result.state === 'unknown' || !result.measured ? `unknown: ${result.finding}` : result.measured
}

function windowText(report: HealthReport, { instant }: ClusterView): string {
  const wal = found(report, 'wal')
  if (typeof wal === 'string') return wal
  if (wal.from === undefined || wal.to === undefined) return 'nothing'
  const gaps = wal.openGaps + wal.pastGaps
  const holes = gaps === 0 ? '' : `, with ${gaps} ${gaps === 1 ? 'gap' : 'gaps'}`
  return `${instant(wal.from)} to ${instant(wal.to)}${holes}`
}

function backupText(report: HealthReport, { now, instant }: ClusterView): string {
  const backup = found(report, 'backup')
  if (typeof backup === 'string') return backup
  const failed = backup.lastRun === 'failed' ? '; the last run failed' : ''
  if (!backup.last) return `none${failed}`
  const { stoppedAt, type } = backup.last
  return `${instant(stoppedAt)}, ${roughly(now.getTime() - Date.parse(stoppedAt))} ago, ${type}${failed}`
}

const OUTCOMES = { succeeded: 'succeeded', failed: 'failed', cancelled: 'stopped' } as const

function ranAndNext({ runs, next, report }: DigestCluster, { instant }: ClusterView): NoticeSection['rows'] {
  const tasks = [...new Set(runs.map(({ task }) => task))].sort()
  const counted = tasks.map((task) => {
    const counts = runs.filter((one) => one.task === task).map(({ outcome, count }) => `${count} ${OUTCOMES[outcome]}`)
    return `${task} ${counts.join(', ')}`
  })
  const missed = missedText(report)
  return [
    { label: 'Runs', text: [...(counted.length === 0 ? ['none ended'] : counted), missed].join('; ') },
    {
      label: 'Next',
      text:
        next.length === 0 ? 'nothing is scheduled' : next.map(({ name, at }) => `${name} ${instant(at)}`).join('; '),
    },
  ]
}

function missedText(report: HealthReport | undefined): string {
  const result = report && resultOf(report.checks, 'schedules')
  const missed = result?.measured?.missed ?? []
  if (missed.length > 0) {
    return `did not come: ${missed.map(({ schedule, at, outcome }) => `${schedule}, due at ${at} (${outcome})`).join(', ')}`
  }
  if (result?.state === 'passed') return 'missed none'
  return `whether any was missed is unknown${result ? `: ${result.finding}` : ''}`
}

/** What is told of although there is time left. */
const SOON_MS = 7 * 86_400_000

function comingDue(report: HealthReport, { now, instant }: ClusterView): string[] {
  const by = (what: string, from: string | undefined, intervalMs: number): string[] => {
    if (from === undefined) return [`${what}: never yet`]
    const dueMs = Date.parse(from) + intervalMs
    if (dueMs < now.getTime()) return [`${what} since ${instant(new Date(dueMs))}`]
    return dueMs - now.getTime() < SOON_MS ? [`${what} by ${instant(new Date(dueMs))}`] : []
  }
  const drill = found(report, 'drill')
  const verification = found(report, 'verification')
  const keys = found(report, 'keys')
  const due = [
    ...(typeof drill === 'string' ? ['drill: none is on record'] : by('drill', drill.passedAt, drill.intervalMs)),
    ...(typeof verification === 'string' ? [] : by('verification', verification.lastAt, verification.maxAgeMs)),
    ...(typeof keys === 'string' ? [] : by('test of the recovery kit', keys.kitProvenAt, KIT_PROOF_MAX_AGE_MS)),
  ]
  return due.length === 0 ? ['nothing within a week'] : due
}

function unknownRows({ checks }: HealthReport): NoticeSection['rows'] {
  const titles = checks.filter(({ state }) => state === 'unknown').map(({ title }) => title)
  return titles.length === 0 ? [] : [{ label: 'Unknown', text: titles.join('; ') }]
}
