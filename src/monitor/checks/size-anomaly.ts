/** Whether the last backup has an unusual size: a mass deletion, or a load that ran away. Pure. */

/** With fewer before it nothing is usual yet; older ones say little about now. */
const LEAST_BEFORE = 3
const MOST_BEFORE = 10
/** More than half as much again, or less than half. */
const UNUSUAL_SHARE = 0.5

export interface BackupSize {
  /** What it restores to. */
  readonly totalBytes: number
  readonly stoppedAt: string
}

export interface SizeFinding {
  readonly totalBytes: number
  /** Of the backups before the last one. */
  readonly medianBytes: number
  readonly before: number
  /** Since which backup the size is unusual, ISO 8601 UTC; absent: it is as ever. */
  readonly unusualSince?: string | undefined
}

/** Oldest first. Undefined: too few to know what is usual. */
export function judgeSize(backups: readonly BackupSize[]): SizeFinding | undefined {
  const last = backups.at(-1)
  const before = backups.slice(0, -1).slice(-MOST_BEFORE)
  if (!last || before.length < LEAST_BEFORE) return undefined
  const sizes = before.map(({ totalBytes }) => totalBytes).sort((left, right) => left - right)
  const medianBytes = sizes[Math.floor(sizes.length / 2)] ?? 0
  const found = { totalBytes: last.totalBytes, medianBytes, before: before.length }
  if (!isUnusual(last, medianBytes)) return found
  // Those just before it that are unusual in the same way are the same news.
  const isSame = (one: BackupSize) =>
    isUnusual(one, medianBytes) && one.totalBytes > medianBytes === last.totalBytes > medianBytes
  const lastUsual = backups.findLastIndex((one) => !isSame(one))
  return { ...found, unusualSince: backups[lastUsual + 1]?.stoppedAt ?? last.stoppedAt }
}

const isUnusual = ({ totalBytes }: BackupSize, medianBytes: number): boolean =>
  Math.abs(totalBytes - medianBytes) > UNUSUAL_SHARE * medianBytes
