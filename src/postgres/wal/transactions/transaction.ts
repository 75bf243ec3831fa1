import type { InstantMicros } from '../../../base/instant.ts'
import type { Lsn } from '../../lsn.ts'
import type { CatalogRowEvent } from '../decode/catalog-row.ts'
import type { WalEvent } from '../decode/event.ts'
import type { RelationFile } from '../record-parts.ts'

/** What a transaction did to one relation file: a table's heap, its TOAST table, or a catalog. */
export interface FileChanges {
  readonly file: RelationFile
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Of the deleted: rows that an update moved to another partition, where they count as inserted. */
  readonly movedAway: number
  /** Pages that were written whole, as when an index or a table is built anew; their rows are not counted. */
  readonly newPages: number
  /** Known with `wal_level = logical` only; false otherwise. */
  readonly isToast: boolean
}

/** What changes files, databases or tablespaces as a whole, and what they are called. */
export type WholeFileEvent =
  | CatalogRowEvent
  | Extract<
      WalEvent,
      {
        readonly type:
          | 'file-create'
          | 'file-truncate'
          | 'truncate'
          | 'database-create'
          | 'database-drop'
          | 'tablespace-create'
          | 'tablespace-drop'
          | 'relation-map'
      }
    >

export interface TransactionEnding {
  /** Of the record that ended it. A recovery to before it does not have the transaction, one to `endLsn` has. */
  readonly lsn: Lsn
  readonly endLsn: Lsn
  /** The server's clock. */
  readonly at: InstantMicros
}

export interface WalTransaction {
  readonly xid: number
  /** Those that were not rolled back before; known when it ends. */
  readonly subxids: readonly number[]
  /**
   * `crashed`: the server stopped meanwhile, so it never counted. `unknown`: it is over, but the record that says how was not
   * understood or not seen. `aborted` may be what a savepoint was rolled back to: with `wal_level = replica` the log does not say of
   * which transaction that was a part.
   */
  readonly outcome: 'committed' | 'aborted' | 'crashed' | 'prepared' | 'in-progress' | 'unknown'
  /** Undefined while it is open, and where no record says it. */
  readonly end: TransactionEnding | undefined
  readonly prepared: (TransactionEnding & { readonly gid: string }) | undefined
  /** False: it may have begun before the first record that was read, and what it did then is not in here. */
  readonly isFromBegin: boolean
  readonly firstLsn: Lsn
  readonly lastLsn: Lsn
  readonly records: number
  readonly walBytes: number
  readonly files: readonly FileChanges[]
  /** Rows of files that are not listed, because there were too many. */
  readonly otherFiles: { readonly inserted: number; readonly updated: number; readonly deleted: number } | undefined
  readonly wholeFiles: readonly WholeFileEvent[]
  /** How many more there were. */
  readonly wholeFilesLeftOut: number
  readonly droppedFiles: readonly RelationFile[]
  /** Relations whose definition was changed; see {@link Invalidations}. */
  readonly changedRelations: readonly { readonly database: number; readonly oid: number }[]
  /** Row changes that were undone by going back to a savepoint, as far as that is known; they are not in `files`. */
  readonly rolledBackRows: number
  /** False: `files` may count what was rolled back, or miss a record that was not understood. */
  readonly isExact: boolean
}
