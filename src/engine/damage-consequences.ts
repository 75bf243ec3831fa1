/** What damaged objects cost: which backups cannot be restored, and which moments not at all any more. Pure. */
import { type LsnRange, mergeRanges, type TimelineCoverage } from '../catalog/coverage.ts'
import { type RecoveryWindow, recoveryWindow, type WindowInput } from '../catalog/window.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'

export interface DamagedWal {
  readonly timeline: number
  readonly beginLsn: string
  readonly endLsn: string
}

export interface LostMoments {
  readonly timeline: number
  readonly from: { readonly lsn: string; readonly at?: string | undefined }
  readonly to: { readonly lsn: string; readonly at?: string | undefined }
}

export interface DamageConsequences {
  /** Damaged themselves, or not restorable any more because WAL that makes them consistent is damaged. */
  readonly lostBackups: readonly string[]
  /** Stretches of the recovery window that cannot be restored any more. */
  readonly lostMoments: readonly LostMoments[]
}

/** Compares the window as it was before the damage with the window that is left. Damaged WAL may still be listed, or be gone. */
export function damageConsequences(
  input: WindowInput,
  damage: { readonly backups: readonly string[]; readonly wal: readonly DamagedWal[] },
): DamageConsequences {
  const before = recoveryWindow({ ...input, coverage: withDamage(input.coverage, damage.wal) }).windows
  const damaged = new Set(damage.backups)
  const after = recoveryWindow({
    ...input,
    backups: input.backups.filter(({ backupId }) => !damaged.has(backupId)),
    coverage: input.coverage.map((coverage) => withoutDamage(coverage, damage.wal)),
  }).windows
  const restorable = new Set(after.flatMap(({ backups }) => backups))
  const strandedNow = before.flatMap(({ backups }) => backups).filter((backupId) => !restorable.has(backupId))
  return {
    lostBackups: [...new Set([...damage.backups, ...strandedNow])].sort(),
    lostMoments: before.flatMap((window) => lostOf(window, after)),
  }
}

/** The coverage as it was: what is damaged was held once. */
function withDamage(coverage: readonly TimelineCoverage[], damage: readonly DamagedWal[]): TimelineCoverage[] {
  const timelines = new Set([...coverage, ...damage].map(({ timeline }) => timeline))
  return [...timelines]
    .sort((a, b) => a - b)
    .map((timeline) => {
      const own = coverage.find((one) => one.timeline === timeline)
      const lost = damage.filter((one) => one.timeline === timeline).map(rangeOf)
      return { timeline, ranges: mergeRanges([...(own?.ranges ?? []), ...lost]), gaps: own?.gaps ?? [] }
    })
}

function rangeOf({ beginLsn, endLsn }: DamagedWal): LsnRange {
  return { beginLsn: parseLsn(beginLsn), endLsn: parseLsn(endLsn) }
}

/** The coverage without the damaged stretches; what they leave open is a gap like any other. */
export function withoutDamage(coverage: TimelineCoverage, damage: readonly DamagedWal[]): TimelineCoverage {
  const holes = damage.filter(({ timeline }) => timeline === coverage.timeline).map(rangeOf)
  if (holes.length === 0) return coverage
  const gaps = holes.map((hole) => ({
    ...hole,
    timeline: coverage.timeline,
    recorded: false,
    explanation: 'The stored WAL is damaged.',
  }))
  return { ...coverage, ranges: subtract(coverage.ranges, holes), gaps: [...coverage.gaps, ...gaps] }
}

/** What is in `ranges` and in none of `holes`. */
export function subtract(ranges: readonly LsnRange[], holes: readonly LsnRange[]): LsnRange[] {
  let left = mergeRanges(ranges)
  for (const hole of holes) {
    left = left.flatMap((range) => [
      { beginLsn: range.beginLsn, endLsn: least(range.endLsn, hole.beginLsn) },
      { beginLsn: greatest(range.beginLsn, hole.endLsn), endLsn: range.endLsn },
    ])
    left = mergeRanges(left)
  }
  return left
}

function lostOf(window: RecoveryWindow, after: readonly RecoveryWindow[]): LostMoments[] {
  // A moment is the end of a record, so the single last position of a window counts as a stretch of its own.
  const whole = { beginLsn: window.from.lsn, endLsn: (window.to.lsn + 1n) as Lsn }
  const kept = after
    .filter(({ path }) => path.some(({ timeline }) => timeline === window.timeline))
    .map(({ from, to }) => ({ beginLsn: from.lsn, endLsn: (to.lsn + 1n) as Lsn }))
  return subtract([whole], kept).map(({ beginLsn, endLsn }) => ({
    timeline: window.timeline,
    from: { lsn: formatLsn(beginLsn), at: beginLsn === window.from.lsn ? window.from.at : atOf(beginLsn, after) },
    to: { lsn: formatLsn(endLsn - 1n), at: endLsn === whole.endLsn ? window.to.at : atOf(endLsn, after) },
  }))
}

/** The time of a border that a remaining window tells. */
function atOf(lsn: Lsn, windows: readonly RecoveryWindow[]): string | undefined {
  const ended = windows.find(({ to }) => to.lsn + 1n === lsn)
  return ended?.to.at ?? windows.find(({ from }) => from.lsn === lsn)?.from.at
}

function least(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b
}

function greatest(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}
