/** Which moments can be restored: backups and WAL held, joined by the catalog. */
import type { WalGap } from '../catalog/coverage.ts'
import { type RecoveryWindow, recoveryWindow, type WalMoment, type WindowInput } from '../catalog/window.ts'
import { formatLsn, segmentOf } from '../postgres/lsn.ts'
import { type HeldArchive, readHeldArchive } from '../recovery/held-archive.ts'
import { readStoredMeta } from '../recovery/segment-content.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { type BackupList, listClusterBackups } from './backups.ts'
import type { Retake } from './open.ts'

export interface GapView {
  readonly timeline: number
  readonly beginLsn: string
  readonly endLsn: string
  /** False: stored WAL has disappeared since it was received, which is damage. */
  readonly recorded: boolean
  /** The WAL was given up by retention: older backups beyond it restore to their own end. */
  readonly givenUp?: true | undefined
  readonly explanation: string
}

export interface WindowEdgeView {
  readonly lsn: string
  /** The server's clock, ISO 8601 UTC. */
  readonly at?: string | undefined
}

export interface WindowView {
  readonly timeline: number
  /** The first moment that can be restored: the end of the first backup. */
  readonly from: WindowEdgeView
  /** The last moment: the end of the WAL that is held. */
  readonly to: WindowEdgeView
  readonly backups: readonly string[]
  /** Holes after this stretch; the next one begins at a later backup. */
  readonly gaps: readonly GapView[]
}

/** An object of the WAL archive that cannot be read. */
export interface DamageView {
  readonly object: string
  readonly timeline?: number | undefined
  readonly message: string
}

export interface WindowReport {
  readonly cluster: string
  /** Oldest branch first. Empty: nothing can be restored. */
  readonly windows: readonly WindowView[]
  /** Timelines that hold WAL or backups and cannot be restored, because their history file is missing. */
  readonly unknownTimelines: readonly number[]
  /** Backups that no window contains: the WAL that makes them consistent is not held. */
  readonly strandedBackups: readonly string[]
  /** What cannot be read of the WAL archive; it is not counted as held. */
  readonly damage: readonly DamageView[]
}

/** What windows, status and verify are made of. */
export interface Holdings extends BackupList {
  readonly archive: HeldArchive
  /** What the window was computed from. */
  readonly input: WindowInput
  readonly report: WindowReport
}

/**
 * The recovery window.
 *
 * ```ts
 * const { windows } = await readWindow(retake)
 * for (const { from, to } of windows) console.log(from.at, to.at)
 * ```
 * @throws RetakeError `cluster.missing`, `repo.damaged`
 */
export async function readWindow(retake: Retake): Promise<WindowReport> {
  return (await readHoldings(retake)).report
}

export async function readHoldings(retake: Retake, clusterName?: string): Promise<Holdings> {
  const other = clusterName !== undefined && clusterName !== retake.clusterName
  const cluster = await (other ? retake.repository.openCluster(clusterName) : retake.cluster())
  const list = await listClusterBackups(cluster)
  const archive = await readHeldArchive(cluster)
  const input: WindowInput = {
    backups: list.backups,
    coverage: archive.coverage,
    histories: archive.histories,
    segmentSizeBytes: cluster.facts.walSegmentSizeBytes,
    moments: await knownMoments(cluster, archive),
  }
  const { windows, unknownTimelines } = recoveryWindow(input)
  const inside = new Set(windows.flatMap(({ backups }) => backups))
  return {
    ...list,
    archive,
    input,
    report: {
      cluster: cluster.facts.name,
      windows: windows.map(viewWindow),
      unknownTimelines,
      strandedBackups: list.backups.map(({ backupId }) => backupId).filter((backupId) => !inside.has(backupId)),
      damage: archive.damage.map(({ object, timeline, error }) => ({
        object,
        ...(timeline === undefined ? {} : { timeline }),
        message: error.message,
      })),
    },
  }
}

/** What is known about times near the ends of the WAL without decoding it. */
async function knownMoments(cluster: ClusterRepository, archive: HeldArchive): Promise<WalMoment[]> {
  const moments: WalMoment[] = []
  const { position } = archive
  if (position?.caughtUpAt) {
    const end = archive.coverage.find(({ timeline }) => timeline === position.timeline)?.ranges.at(-1)?.endLsn
    if (end !== undefined) moments.push({ timeline: position.timeline, lsn: end, at: position.caughtUpAt })
  }
  const { walSegmentSizeBytes } = cluster.facts
  for (const { timeline, ranges } of archive.coverage) {
    for (const { beginLsn, endLsn } of ranges) {
      // The last finished segment: the open one has no stored facts, and the one before it nearly always has.
      const last = segmentOf(endLsn, walSegmentSizeBytes) - 1n
      if (last < segmentOf(beginLsn, walSegmentSizeBytes)) continue
      const meta = await readStoredMeta(cluster, { timeline, segment: last })
      if (meta?.lastAt) moments.push({ timeline, lsn: endLsn, at: meta.lastAt })
    }
  }
  return moments
}

export function viewWindow({ timeline, from, to, backups, gaps }: RecoveryWindow): WindowView {
  return {
    timeline,
    from: { lsn: formatLsn(from.lsn), at: from.at },
    to: { lsn: formatLsn(to.lsn), at: to.at },
    backups,
    gaps: gaps.map(viewGap),
  }
}

export function viewGap({ timeline, beginLsn, endLsn, recorded, givenUp, explanation }: WalGap): GapView {
  const range = { beginLsn: formatLsn(beginLsn), endLsn: formatLsn(endLsn) }
  return { timeline, ...range, recorded, ...(givenUp ? { givenUp } : {}), explanation }
}
