/** The report as data. What cannot be known is `'unknown'`, and `sources` says of every value where it is from or why it is not known. */
import type { TableTier } from '../critical-tables.ts'
import type { HealthScore } from '../health-score.ts'
import type { NativeView } from '../management/native-backups.ts'
import type { RetakeStatus } from '../retake-status.ts'

/** Compare booleans with `=== true`: the word is truthy. */
export type Unknown = 'unknown'

export interface Trace {
  /** `caller`: it was passed in. `none`: nobody could be asked. */
  readonly source: 'management-api' | 'database' | 'retake' | 'computed' | 'caller' | 'none'
  /** The call and the field, or from what it was computed. */
  readonly detail: string
  /** Why it is not known, or what limits it. */
  readonly reason?: string | undefined
}

export interface LastBackup {
  /** ISO 8601 UTC; with point-in-time recovery the latest moment that can be restored. `unknown` when nobody could be asked. */
  readonly timestamp: string
  readonly status: 'success' | 'failed' | 'in_progress' | 'unknown'
  readonly type: 'automatic' | 'manual' | 'point_in_time' | 'unknown'
  /** Bytes. Supabase does not tell it. */
  readonly size?: number | undefined
  /** Milliseconds. Supabase does not tell it. */
  readonly duration?: number | undefined
  readonly error?: string | undefined
  readonly by: 'supabase' | 'retake' | 'unknown'
}

export interface TableReport {
  readonly schema: string
  readonly name: string
  readonly tier: TableTier
  readonly state: 'present' | 'missing' | 'unknown'
  readonly rows: number | Unknown
  readonly rowsAre?: 'exact' | 'estimated' | undefined
  /** The role whose view the count is: row-level security hides rows from all but `service_role`. */
  readonly rowsSeenBy?: string | undefined
  readonly reason?: string | undefined
}

export interface ConnectivityReport {
  readonly connected: boolean | Unknown
  readonly latencyMs: number | Unknown
  readonly trace: Trace
}

export interface TablesReport {
  /** False when one is missing, else unknown when one is unknown. */
  readonly valid: boolean | Unknown
  readonly missing: readonly string[]
  readonly unknown: readonly string[]
  readonly tables: readonly TableReport[]
  readonly trace: Trace
}

export interface RecoveryWindow {
  readonly by: 'supabase' | 'retake'
  /** `second`: every moment between the two. `day`: only the moments of the backups in between. */
  readonly granularity: 'second' | 'day'
  readonly earliest: string
  readonly latest: string
}

export interface PointInTimeReport {
  readonly enabled: boolean | Unknown
  readonly by?: 'supabase' | 'retake' | 'both' | undefined
  readonly windows: readonly RecoveryWindow[]
  readonly trace: Trace
}

export interface RetentionReport {
  readonly days: number | Unknown
  /** Whether it reaches the threshold (default 7 days). */
  readonly adequate: boolean | Unknown
  readonly trace: Trace
}

export interface BackupReport {
  readonly schemaVersion: 1
  /** ISO 8601 UTC, the clock of whoever made the report. */
  readonly generatedAt: string
  readonly projectId: string
  readonly projectName: string
  readonly region: string
  /** Absent when it is known that there is none. */
  readonly lastBackup?: LastBackup | undefined
  readonly backupRetentionDays: number | Unknown
  readonly pointInTimeRecoveryEnabled: boolean | Unknown
  readonly recommendations: readonly string[]
  /** 0 to 100. `unknown` when it is not known whether anything can be restored. */
  readonly healthScore: number | Unknown
  readonly health: HealthScore
  /** As Supabase names it: `ACTIVE_HEALTHY`, `INACTIVE` (paused), … */
  readonly projectStatus: string
  readonly connectivity: ConnectivityReport
  readonly criticalTables: TablesReport
  readonly recoveryWindows: readonly RecoveryWindow[] | Unknown
  /** When the daily backup runs, `HH:MM:SS` UTC. */
  readonly backupSchedule: string
  readonly native: NativeView | Unknown
  readonly retake: RetakeStatus | Unknown
  /** By the name of each value above. */
  readonly sources: Readonly<Record<string, Trace>>
}

/** When something is worth a word; what the backup strategy asks for is the default. */
export interface Thresholds {
  /** Age of the last backup up to which nothing is lost; default 24. */
  readonly recencyHours: number
  /** Age from which it is alarming; default 25. */
  readonly alertAfterHours: number
  /** Default 7. */
  readonly retentionDays: number
  /** Age from which a published status of Retake is no longer believed; default 15. */
  readonly statusMaxAgeMinutes: number
}

export const DEFAULT_THRESHOLDS: Thresholds = {
  recencyHours: 24,
  alertAfterHours: 25,
  retentionDays: 7,
  statusMaxAgeMinutes: 15,
}
