/** What the repository's records say of runs, as evidence for schedules. Pure; what a record cannot say is left unknown. */
import { DRILLS_KEPT_MS, type DrillRecord } from '../repository/drills.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { VerifiedRecord } from '../repository/verified.ts'
import type { Evidence, KnownRun } from '../schedules/judge.ts'
import type { Schedule } from '../schedules/schedule.ts'

export interface BackupRecords {
  readonly backups: readonly Pick<BackupSummary, 'backupId' | 'type' | 'stoppedAt'>[]
  /** Began, and left no backup; the one that runs now is the newest of them. */
  readonly unfinished: readonly string[]
  /** Failed, as they noted themselves. */
  readonly failed: readonly string[]
  readonly running: boolean
  /** Left a backup that cannot be read. */
  readonly damaged: readonly string[]
  /** Every backup that ended within so many days is still held. */
  readonly keptDays: number
}

const DAY_MS = 86_400_000

/** A full backup does what an incremental one was due for; not the other way round. */
export function backupEvidence(
  { type }: Pick<Schedule, 'type'>,
  { backups, unfinished, failed, damaged, running, keptDays, now }: BackupRecords & { readonly now: Date },
): Pick<Evidence, 'runs' | 'knownFrom'> {
  const came = backups
    .filter((backup) => type !== 'full' || backup.type === 'full')
    .map((backup): KnownRun => {
      const beganAt = momentOf(backup.backupId)
      return { id: backup.backupId, beganAt, endedAt: new Date(backup.stoppedAt), outcome: 'succeeded' }
    })
  const others = unfinished.map((backupId, index): KnownRun => {
    const isRunning = running && index === unfinished.length - 1
    return { id: backupId, beganAt: momentOf(backupId), outcome: isRunning ? 'running' : 'failed' }
  })
  const lost = [...failed, ...damaged].map((id): KnownRun => ({ id, beganAt: momentOf(id), outcome: 'failed' }))
  return { runs: [...came, ...others, ...lost].sort(byBegin), knownFrom: new Date(now.getTime() - keptDays * DAY_MS) }
}

const byBegin = (left: KnownRun, right: KnownRun) => (left.beganAt?.getTime() ?? 0) - (right.beganAt?.getTime() ?? 0)

/** The second in which a backup began, by the clock of the machine that made it: `20261122T090411Z-…`. */
function momentOf(backupId: string): Date {
  return new Date(backupId.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z'))
}

export interface VerificationRecords {
  readonly backups: readonly Pick<BackupSummary, 'backupId'>[]
  /** The last note of each backup; a later verification has replaced earlier ones. */
  readonly verified: readonly VerifiedRecord[]
  /** Since when one runs. */
  readonly runningSince: Date | undefined
  /** The cluster is not older. */
  readonly begin: Date | undefined
}

/**
 * A verification of everything leaves the same time in the note of every backup there was; one of a single backup does not. Of notes
 * only the last are held, so before the newest nothing can be said to be missing.
 */
export function verificationEvidence(
  { deep }: Pick<Schedule, 'deep'>,
  { backups, verified, runningSince, begin }: VerificationRecords,
): Pick<Evidence, 'runs' | 'knownFrom'> {
  const runs = wholeVerifications(backups, deep ? verified.filter(({ depth }) => depth === 'deep') : verified)
  const newestMs = Math.max(begin?.getTime() ?? 0, ...verified.map(({ at }) => Date.parse(at)))
  return {
    runs: [
      ...runs.map((at): KnownRun => ({ endedAt: new Date(at), outcome: 'succeeded' })),
      ...(runningSince ? [{ beganAt: runningSince, outcome: 'running' } as const] : []),
    ],
    knownFrom: new Date(newestMs),
  }
}

/** When verifications ended that cover every backup up to the newest that they have noted. */
function wholeVerifications(
  backups: readonly Pick<BackupSummary, 'backupId'>[],
  notes: readonly VerifiedRecord[],
): string[] {
  const noteOf = new Map(notes.map((note) => [note.backupId, note.at]))
  return [...new Set(notes.map(({ at }) => at))].sort().filter((at) => {
    const newest = notes
      .filter((note) => note.at === at)
      .reduce((id, note) => (note.backupId > id ? note.backupId : id), '')
    return backups.every(({ backupId }) => backupId > newest || (noteOf.get(backupId) ?? '') >= at)
  })
}

export interface PruneRecords {
  /** When something was given up by the policy and is not deleted yet. */
  readonly gaveUpAt: readonly string[]
  readonly runningSince: Date | undefined
  /** The last time at which a run was due. */
  readonly lastDueAt: Date | undefined
  /** Something that is held now would have been given up by a run at that time. */
  readonly overdue: boolean
  readonly now: Date
}

/** A pruning that gives up nothing leaves nothing, so what is still there must tell whether there was one. */
export function pruneEvidence(records: PruneRecords): Pick<Evidence, 'runs' | 'knownFrom' | 'idleFrom'> {
  const { gaveUpAt, runningSince, lastDueAt, overdue, now } = records
  const runs = [
    ...gaveUpAt.map((at): KnownRun => ({ beganAt: new Date(at), outcome: 'succeeded' })),
    ...(runningSince ? [{ beganAt: runningSince, outcome: 'running' } as const] : []),
  ]
  if (lastDueAt === undefined) return { runs, knownFrom: now }
  return overdue ? { runs, knownFrom: lastDueAt } : { runs, knownFrom: now, idleFrom: lastDueAt }
}

export interface DrillRecords {
  /** Newest first. */
  readonly drills: readonly Pick<DrillRecord, 'id' | 'beganAt' | 'endedAt' | 'deep' | 'outcome'>[]
  /** There are no older ones on record. */
  readonly isAll: boolean
  /** Since when one runs. */
  readonly runningSince: Date | undefined
  readonly now: Date
}

/**
 * A deep drill does what another one was due for; not the other way round. One that could not be carried out on this machine has come: what
 * stands in its way is told by the check `drill`, and would be no different at the next time.
 */
export function drillEvidence(
  { deep }: Pick<Schedule, 'deep'>,
  { drills, isAll, runningSince, now }: DrillRecords,
): Pick<Evidence, 'runs' | 'knownFrom'> {
  const came = drills
    .filter((drill) => !deep || drill.deep)
    .map(({ id, beganAt, endedAt, outcome }): KnownRun => {
      const good = outcome === 'passed' || outcome === 'inconclusive'
      return { id, beganAt: new Date(beganAt), endedAt: new Date(endedAt), outcome: good ? 'succeeded' : 'failed' }
    })
  const keptFrom = new Date(now.getTime() - DRILLS_KEPT_MS)
  const oldest = drills.at(-1)
  return {
    runs: [...came.reverse(), ...(runningSince ? [{ beganAt: runningSince, outcome: 'running' } as const] : [])],
    knownFrom: isAll || !oldest ? keptFrom : new Date(oldest.beganAt),
  }
}
