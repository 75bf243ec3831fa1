/** What each check measures. Plain data: instants are ISO 8601 UTC, LSNs `X/Y`. */
import type { CriticalTable, Tier } from '../../engine/config-options.ts'
import type { Bookmark, RememberedIncident } from '../../journal/bookmark.ts'
import type { RunOutcome } from '../../schedules/judge.ts'
import type { BackupHistory } from '../health/backup-history.ts'
import type { DiskForecast } from './disk-forecast.ts'
import type { Loss } from './losses.ts'
import type { SizeFinding } from './size-anomaly.ts'

export interface ObservedTable extends CriticalTable {
  readonly exists: boolean
  /** The server's own estimate; no table is read. Undefined: it has none yet. */
  readonly rows?: number | undefined
  readonly bytes?: number | undefined
  /** Since they were last known. */
  readonly grownRows?: number | undefined
  /** When half of the rows or more had vanished at once, and most of them are not back. */
  readonly losses?: readonly Loss[] | undefined
}

export interface MassDeletion extends RememberedIncident {
  /** The highest among the tables; absent: none of them is a critical one. */
  readonly tier?: Tier | undefined
}

export interface MissedRun {
  readonly schedule: string
  readonly task: 'backup' | 'verify' | 'prune' | 'drill'
  readonly outcome: RunOutcome
  /** When it was due, ISO 8601 UTC. */
  readonly at: string
}

export interface Measurements {
  readonly connectivity: {
    readonly latencyMs: number
    readonly connectMs: number
    readonly serverVersionNum: number
    readonly database: string
    readonly inRecovery: boolean
  }
  readonly 'critical-tables': {
    readonly database: string
    /** `observed`: an earlier observation saw the tables of CineTrack here. */
    readonly expectedBy: 'configuration' | 'cinetrack' | 'observed' | 'nobody'
    readonly tables: readonly ObservedTable[]
    readonly missing: readonly { readonly table: string; readonly tier: Tier }[]
    /** Tables that have lost all or most of their rows, and have not got most of them back. */
    readonly shrunk: readonly string[]
  }
  readonly 'mass-deletions': {
    /** Up to where the log was looked through. */
    readonly toLsn: string
    /** WAL that is held and was not looked through yet. */
    readonly behindBytes: number
    /** Of the last week, what no recovery has undone and nobody has called meant; the oldest first. */
    readonly incidents: readonly MassDeletion[]
    /** For the next look. */
    readonly bookmark: Bookmark
  }
  readonly backup: {
    readonly count: number
    /** Backups that no restore can begin with: their manifest or their WAL is missing. */
    readonly unusable: readonly string[]
    readonly usable: number
    readonly last?:
      | {
          readonly backupId: string
          readonly type: 'full' | 'incremental'
          readonly startedAt: string
          readonly stoppedAt: string
          readonly durationMs: number
          readonly storedBytes: number
          /** Pages whose checksum is wrong on the server itself. */
          readonly corruptBlocks: number
        }
      | undefined
    /** Absent: there are too few backups to know what is usual. */
    readonly size?: SizeFinding | undefined
    readonly ageMs?: number | undefined
    readonly maxAgeMs: number
    readonly lastRun: 'succeeded' | 'failed' | 'running' | 'none'
    /** Runs that failed within the last month, or were cut short. */
    readonly failedRuns: readonly string[]
    /** Why the last run failed, where it could say so. */
    readonly lastFailure?: { readonly at: string; readonly code: string; readonly message: string } | undefined
  }
  readonly schedules: {
    /** The newest settled run of each schedule that is late, failed or was missed. */
    readonly missed: readonly MissedRun[]
    /** Every run of the last 30 days that is late, failed or was missed, the oldest first, at most 50. */
    readonly missedRuns: readonly MissedRun[]
    /** The names of schedules whose newest run cannot be told of. */
    readonly unknown: readonly string[]
    /** Of the schedules of backups; absent when there is none, or nothing of them is known. */
    readonly history?: BackupHistory | undefined
  }
  readonly wal: {
    readonly windows: number
    readonly from?: string | undefined
    readonly to?: string | undefined
    /** Gaps that the moments of now lie behind, or that nobody recorded. */
    readonly openGaps: number
    /** Recorded gaps of the past, before the last backup. */
    readonly pastGaps: number
    readonly damagedObjects: number
    /** Of the last 30 days, what can be restored without a hole, the oldest first, at most 50. ISO 8601 UTC. */
    readonly stretches: readonly { readonly from: string; readonly to: string }[]
    /** Share of the observed minutes whose every moment can be restored. */
    readonly recoverableShare?: number | undefined
    readonly observedMs: number
  }
  readonly exposure: {
    readonly state: 'caught-up' | 'idle' | 'behind'
    /** At most so much work would be lost now. Undefined: for longer than anybody knows. */
    readonly exposureMs?: number | undefined
    readonly behindBytes?: number | undefined
    readonly targetMs: number
    readonly caughtUpAt?: string | undefined
  }
  readonly slot: {
    readonly slot: string
    readonly exists: boolean
    readonly active: boolean
    /** A receiver is connected, and not far behind. */
    readonly keepsUp: boolean
    readonly walStatus?: string | undefined
    /** WAL that the slot keeps on the server. */
    readonly heldBytes?: number | undefined
    /** What the server may still write before the slot can be lost. */
    readonly safeBytes?: number | undefined
    readonly walDirectoryBytes?: number | undefined
    /** Free on the server's disk; known where it is this machine's. */
    readonly serverFreeBytes?: number | undefined
    readonly walBytesPerHour?: number | undefined
    /** Until the slot is lost or the disk is full if nothing were received from now on. */
    readonly hoursLeft?: number | undefined
    /** Whether somebody holds the lease to receive; absent when the repository could not be asked. */
    readonly receiver?: boolean | undefined
  }
  readonly repository: {
    readonly url: string
    readonly repositoryId: string
    readonly openMs: number
  }
  readonly mirrors: {
    readonly copies: readonly {
      readonly name: string
      readonly state: string
      readonly missingObjects?: number | undefined
      readonly lagMs?: number | undefined
    }[]
    /** What the last backup lacks for 3-2-1. */
    readonly missing: readonly ('copies' | 'places' | 'offsite')[]
  }
  readonly verification: {
    readonly lastAt?: string | undefined
    readonly lastDeepAt?: string | undefined
    readonly ageMs?: number | undefined
    readonly deepAgeMs?: number | undefined
    readonly maxAgeMs: number
    readonly verifiedBackups: number
    readonly lastBackupVerified: boolean
    /** What the last verification found, while none that read as much has found it gone. */
    readonly damage?:
      | { readonly at: string; readonly errors: number; readonly lostBackups: readonly string[] }
      | undefined
  }
  readonly drill: {
    /** When the last one ended that came to a result. */
    readonly lastAt: string
    readonly lastOutcome: 'passed' | 'failed'
    readonly passedAt?: string | undefined
    readonly ageMs?: number | undefined
    /** How deep the last one that passed went: 0 listed, 1 checksums, 2 restored, 3 SQL checks, 4 application, 5 by a person. */
    readonly depth?: number | undefined
    readonly rtoMs?: number | undefined
    readonly rpoMs?: number | undefined
    readonly intervalMs: number
    /** Of those on record that came to a result, at most the last 24. */
    readonly counted: number
    readonly succeeded: number
  }
  readonly retention: {
    readonly days: number
    readonly walDays: number
    readonly targetDays: number
    /** The stretch of moments without a hole that reaches to now. */
    readonly heldMs: number
    /** False: less is held than is promised, although backups are old enough. */
    readonly kept: boolean
  }
  readonly keys: {
    readonly good: number
    readonly broken: number
    readonly kits: number
    readonly due: number
    readonly kitProvenAt?: string | undefined
    readonly kitProofAgeMs?: number | undefined
    readonly kitProofDepth?: 'sample' | 'full' | undefined
  }
  /** Absent as a whole while Supabase does not answer. */
  readonly 'native-backups': {
    /** The reference of the Supabase project. */
    readonly project: string
    /** As Supabase names it: `ACTIVE_HEALTHY`, `INACTIVE` (paused), … */
    readonly projectStatus: string
    /** Point-in-time recovery is on; Supabase lists no backups then. */
    readonly pitr: boolean
    /** Listed ones that can be restored. */
    readonly count: number
    readonly failed: number
    /** The first and the last moment that Supabase can restore. */
    readonly from?: string | undefined
    readonly to?: string | undefined
    /** Since the last moment; 0 while the database is idle and everything is archived. */
    readonly ageMs?: number | undefined
    readonly maxAgeMs: number
    /** By the plan, or by the add-on of point-in-time recovery. */
    readonly retentionDays?: number | undefined
    /** Who can restore the cluster at all. */
    readonly coveredBy: 'both' | 'retake' | 'supabase' | 'nobody' | 'unknown'
  }
  readonly clock: {
    readonly offsetMs: number
    readonly uncertaintyMs: number
  }
  readonly disk: {
    readonly freeBytes: number
    readonly totalBytes: number
    /** Absent: it was not watched for long enough. */
    readonly forecast?: DiskForecast | undefined
  }
  readonly configuration: {
    /** Files of the server outside its data directory, which no backup holds. */
    readonly outside: boolean
    /** When it was seen that they lie there now, ISO 8601 UTC; absent: they were never seen inside. */
    readonly outsideSince?: string | undefined
  }
}
