/** What a restore did, as plain data. */
import type { RecoveryOutcome } from './run-server.ts'

export interface RestorePhase {
  readonly name: 'check' | 'wal' | 'undo' | 'files' | 'durable' | 'recovery'
  readonly durationMs: number
}

export interface RestoreReport {
  readonly schemaVersion: 1
  readonly planHash: string
  readonly cluster: string
  readonly backupId: string
  readonly target: string
  readonly targetDirectory: string
  readonly outcome: RecoveryOutcome | 'laid-out'
  readonly phases: readonly RestorePhase[]
  readonly totalMs: number
  readonly files: {
    readonly count: number
    readonly writtenBytes: number
    readonly fetchedBytes: number
    /** Where a directory was changed in place: what was read there. */
    readonly comparedBytes?: number | undefined
  }
  /** Where a directory that was changed in place is kept as it was before. */
  readonly undoDirectory?: string | undefined
  readonly wal: { readonly segments: number; readonly bytes: number; readonly replayMs?: number | undefined }
  /** Where recovery ended; absent when nothing was started. */
  readonly reached?:
    | {
        /** Everything up to here is in the restored server. */
        readonly lsn: string
        /** The last transaction it contains, and when that ended. */
        readonly xid?: number | undefined
        readonly at?: string | undefined
        /** How PostgreSQL itself said it. */
        readonly stopping?: string | undefined
        readonly newTimeline?: number | undefined
      }
    | undefined
  /** The server that runs now; it is not stopped when this process ends. */
  readonly server?:
    | {
        readonly pid: number
        readonly port: number
        readonly socketDirectory: string
        readonly logFile: string
        readonly connect: string
        readonly stop: string
      }
    | undefined
  readonly warnings: readonly string[]
}
