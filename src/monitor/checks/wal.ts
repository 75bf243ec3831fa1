/** Which moments are held without a hole, and how much work would be lost now. */
import { DEFAULT_RPO_TARGET_SECONDS } from '../../engine/config-options.ts'
import { judgeRpo } from '../../engine/status-judgement.ts'
import { type GapView, viewGap, type WindowView } from '../../engine/window.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import type { WalPosition } from '../../repository/wal-records.ts'
import type { Measurements } from './measurements.ts'
import type { Observation } from './observation.ts'
import { failed, type Outcome, passed } from './result.ts'
import type { HealthCheck } from './run-checks.ts'
import type { ServerMoment } from './sources.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** Further back, what was lost says little about now. */
const OBSERVED_DAYS = 30
const MOST_STRETCHES = 50

export const wal: HealthCheck<'wal'> = {
  name: 'wal',
  title: 'WAL without a gap',
  patience: 3,
  run: async (sources) => {
    const { archive, backups, report } = await sources.holdings()
    return judgeWal({
      windows: report.windows,
      gaps: archive.coverage.flatMap(({ gaps }) => gaps).map(viewGap),
      damagedObjects: report.damage.length,
      lastStartLsn: backups.at(-1)?.startLsn,
      now: sources.settings.clock.now(),
    })
  },
}

export interface WalFacts {
  readonly windows: readonly WindowView[]
  readonly gaps: readonly GapView[]
  readonly damagedObjects: number
  readonly lastStartLsn: string | undefined
  readonly now: Date
}

export function judgeWal(facts: WalFacts): Outcome<Measurements['wal']> {
  const { windows, damagedObjects, lastStartLsn } = facts
  const lost = facts.gaps.filter(({ givenUp }) => !givenUp)
  // A recorded gap before the last backup costs moments of the past, and endangers no later one.
  const past = lost.filter(
    ({ recorded, endLsn }) => recorded && lastStartLsn !== undefined && parseLsn(endLsn) <= parseLsn(lastStartLsn),
  )
  const open = lost.filter((gap) => !past.includes(gap))
  const measured: Measurements['wal'] = {
    windows: windows.length,
    ...edges(windows),
    openGaps: open.length,
    pastGaps: past.length,
    damagedObjects,
    ...recoverable(windows, facts.now),
  }
  const bad = (finding: string, fix: string) => failed(finding, { severity: 'danger', fix, measured })
  const [gap] = open
  if (gap) {
    const where = `WAL ${gap.beginLsn} to ${gap.endLsn} of timeline ${gap.timeline} is missing.`
    return bad(`${where} ${gap.explanation}`, 'retake backup   # moments after it can be restored again')
  }
  if (damagedObjects > 0) {
    return bad(`${damagedObjects} objects of the WAL archive cannot be read.`, 'retake verify --deep')
  }
  if (windows.length === 0) return bad('No moment can be restored.', 'retake backup')
  return passed(`Every moment from ${measured.from} to ${measured.to ?? 'the end of the WAL'} is held.`, measured)
}

function edges(windows: readonly WindowView[]): {
  readonly from?: string | undefined
  readonly to?: string | undefined
} {
  return { from: windows.at(-1)?.from.at, to: windows.at(-1)?.to.at }
}

/**
 * The share of the minutes since the first moment that is still held, at most 30 days, of which every moment can be restored. The
 * stretch after the end of the WAL is the exposure's business, and does not count here.
 */
function recoverable(
  windows: readonly WindowView[],
  now: Date,
): Pick<Measurements['wal'], 'recoverableShare' | 'observedMs' | 'stretches'> {
  const earliestMs = now.getTime() - OBSERVED_DAYS * DAY_MS
  const merged = mergeStretches(
    windows
      .flatMap(({ from, to }) => (from.at && to.at ? [[Date.parse(from.at), Date.parse(to.at)] as const] : []))
      .map(([from, to]) => ({ fromMs: Math.max(from, earliestMs), toMs: to }))
      .filter(({ fromMs, toMs }) => toMs >= fromMs),
  )
  const stretches = merged
    .slice(-MOST_STRETCHES)
    .map(({ fromMs, toMs }) => ({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }))
  const [first] = merged
  if (!first) return { observedMs: 0, stretches }
  const observedMs = Math.max(...merged.map(({ toMs }) => toMs)) - first.fromMs
  const heldMs = merged.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
  return { observedMs, recoverableShare: observedMs < MINUTE_MS ? 1 : heldMs / observedMs, stretches }
}

interface Stretch {
  readonly fromMs: number
  readonly toMs: number
}

/** Those that overlap or touch are one; in the order of time. */
function mergeStretches(stretches: readonly Stretch[]): Stretch[] {
  const merged: Stretch[] = []
  for (const one of [...stretches].sort((left, right) => left.fromMs - right.fromMs)) {
    const last = merged.at(-1)
    if (last && one.fromMs <= last.toMs) {
      merged[merged.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, one.toMs) }
    } else merged.push(one)
  }
  return merged
}

export const exposure: HealthCheck<'exposure'> = {
  name: 'exposure',
  title: 'Loss if the server vanished now',
  patience: 3,
  run: async (sources) => {
    const { archive } = await sources.holdings()
    return judgeExposure({
      server: await sources.moment(),
      position: archive.position,
      earlier: sources.earlier,
      targetMs: (sources.settings.config.rpoTargetSeconds ?? DEFAULT_RPO_TARGET_SECONDS) * 1000,
    })
  },
}

export interface ExposureFacts {
  readonly server: ServerMoment
  readonly position: WalPosition | undefined
  readonly earlier: Observation | undefined
  readonly targetMs: number
}

export function judgeExposure({
  server,
  position,
  earlier,
  targetMs,
}: ExposureFacts): Outcome<Measurements['exposure']> {
  const rpo = judgeRpo({ server, position })
  const caughtUpAt = position?.caughtUpAt
  const facts = { targetMs, ...(caughtUpAt === undefined ? {} : { caughtUpAt }) }
  const behind = rpo.behindBytes === undefined ? {} : { behindBytes: rpo.behindBytes }
  if (rpo.state === 'caught-up') {
    return passed('Everything the server has written is held.', {
      ...facts,
      ...behind,
      state: 'caught-up',
      exposureMs: 0,
    })
  }
  if (earlier && position && nothingEndedSince(earlier, { server, position })) {
    const finding = `No transaction ended since ${earlier.at}, and everything until then is held.`
    return passed(finding, { ...facts, ...behind, state: 'idle', exposureMs: 0 })
  }
  const exposureMs = rpo.behindMs
  const measured = {
    ...facts,
    ...behind,
    state: 'behind' as const,
    ...(exposureMs === undefined ? {} : { exposureMs }),
  }
  if (exposureMs !== undefined && exposureMs <= targetMs) {
    return passed(`At most ${seconds(exposureMs)} of transactions would be lost now.`, measured)
  }
  const much =
    exposureMs === undefined
      ? 'Nobody knows since when transactions would be lost.'
      : `Up to ${seconds(exposureMs)} of transactions would be lost now; the target is ${seconds(targetMs)}.`
  return failed(`${rpo.explanation} ${much}`, {
    severity: 'danger',
    fix: 'retake wal receive   # as a service',
    measured,
  })
}

/**
 * A server writes WAL of its own while nobody works, so bytes alone would alarm falsely. When no transaction was open at the earlier
 * look, none has ended since, and all WAL of then is held, then nothing that was committed is missing.
 */
function nothingEndedSince(
  earlier: Observation,
  { server, position }: { readonly server: ServerMoment; readonly position: WalPosition },
): boolean {
  if (earlier.transactionsOpen || earlier.nextXid !== server.nextXid || earlier.insertLsn === undefined) return false
  if (earlier.timeline !== position.timeline || server.timeline !== position.timeline) return false
  return parseLsn(earlier.insertLsn) <= parseLsn(position.flushLsn)
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`
}
