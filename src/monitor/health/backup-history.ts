/** What ended backups say about the schedule: the slots of the past, not the attempts. */
export interface BackupHistory {
  /** Slots that are over, of the observed time. */
  readonly slots: number
  /** Slots without a successful run, also after retries. */
  readonly missed: number
  /** The time since the last backup is among the missed ones already. */
  readonly isLate: boolean
  /** ISO 8601 UTC: earlier runs are not known. */
  readonly since: string
  readonly observedMs: number
}
