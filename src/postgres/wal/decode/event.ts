/** What a record of the log means, in the words of PostgreSQL's documentation. */
import type { InstantMicros } from '../../../base/instant.ts'
import type { Lsn } from '../../lsn.ts'
import type { RelationFile } from '../record-parts.ts'

export interface EventPlace {
  readonly lsn: Lsn
  readonly endLsn: Lsn
  /** 0 when the record belongs to no transaction. */
  readonly xid: number
  /** The transaction that `xid` is a part of, where the record says so: once, with `wal_level = logical`. */
  readonly topXid: number | undefined
}

export interface Origin {
  /** The local number of the replication origin. */
  readonly node: number
  readonly lsn: Lsn
  readonly at: InstantMicros
}

/** Other sessions are told to forget what they know of these; a relation's entry goes when its definition was changed. */
export interface Invalidations {
  readonly count: number
  /** The oids among them that name relations; 0 names all of the database. */
  readonly relations: readonly { readonly database: number; readonly oid: number }[]
  /** Something that every session needs at its start was changed, so the file with it is removed. */
  readonly initFile: boolean
}

interface TransactionLists {
  /** Of the transaction that ends; undefined when the record is longer than what the reader kept of it. */
  readonly ofXid: number | undefined
  /** The server's clock. */
  readonly at: InstantMicros
  /** Its subtransactions that were not rolled back before. */
  readonly subxids: readonly number[]
  readonly invalidations: Invalidations
  /** The name that it was prepared under. */
  readonly gid: string | undefined
  readonly origin: Origin | undefined
  /** False when the record is longer than what the reader kept of it: the lists are then what was kept. */
  readonly isComplete: boolean
}

export interface TransactionEndEvent extends EventPlace, TransactionLists {
  readonly type: 'commit' | 'abort' | 'commit-prepared' | 'abort-prepared'
  /** Its files are removed now: those it dropped when it commits, those it made when it aborts. */
  readonly droppedFiles: readonly RelationFile[]
  readonly droppedStatistics: number
  readonly database: { readonly oid: number; readonly tablespace: number } | undefined
  readonly holdsExclusiveLocks: boolean
  readonly isForcedSync: boolean
}

export interface PrepareEvent extends EventPlace, TransactionLists {
  readonly type: 'prepare'
  readonly gid: string
  readonly databaseOid: number
  readonly filesDroppedByCommit: readonly RelationFile[]
  readonly filesDroppedByAbort: readonly RelationFile[]
}

export interface AssignmentEvent extends EventPlace {
  readonly type: 'assignment'
  readonly ofXid: number
  readonly subxids: readonly number[]
}

export interface InvalidationEvent extends EventPlace {
  readonly type: 'invalidations'
  readonly invalidations: Invalidations
}

interface TuplePlace extends EventPlace {
  readonly file: RelationFile
  readonly block: number
  /** The line pointer in the page, from 1. */
  readonly offset: number
}

/** How much of a row's old version the log carries: with `wal_level = logical`, by the table's replica identity. */
export type OldTuple = 'none' | 'key' | 'whole'

export interface InsertEvent extends TuplePlace {
  readonly type: 'insert'
  /** Of `on conflict`: a `confirm` follows, or a deletion that takes it back. */
  readonly isSpeculative: boolean
  /** Known only with `wal_level = logical`; false otherwise. */
  readonly isToast: boolean
}

export interface MultiInsertEvent extends EventPlace {
  readonly type: 'multi-insert'
  readonly file: RelationFile
  readonly block: number
  readonly offsets: readonly number[]
  readonly isToast: boolean
}

export interface UpdateEvent extends EventPlace {
  readonly type: 'update'
  /** The new version lies on the same page, and no index had to be told. */
  readonly isHot: boolean
  readonly file: RelationFile
  readonly oldBlock: number
  readonly oldOffset: number
  readonly block: number
  readonly offset: number
  readonly oldTuple: OldTuple
}

export interface DeleteEvent extends TuplePlace {
  readonly type: 'delete'
  readonly oldTuple: OldTuple
  /** Takes a speculative insertion back: the row never was. */
  readonly isUndoneInsert: boolean
  /** An update moved the row to another partition, where it was inserted. */
  readonly isPartitionMove: boolean
}

export interface TupleEvent extends TuplePlace {
  readonly type: 'confirm' | 'lock' | 'in-place-update'
}

/** With `wal_level = logical` only; otherwise a truncation is a new file, and the old one dropped by the commit. */
export interface TruncateEvent extends EventPlace {
  readonly type: 'truncate'
  readonly database: number
  readonly relationOids: readonly number[]
  readonly isCascade: boolean
  readonly restartsSequences: boolean
}

export interface FileCreateEvent extends EventPlace {
  readonly type: 'file-create'
  readonly file: RelationFile
  readonly fork: number
}

export interface FileTruncateEvent extends EventPlace {
  readonly type: 'file-truncate'
  readonly file: RelationFile
  readonly blocks: number
  readonly forks: { readonly main: boolean; readonly vm: boolean; readonly fsm: boolean }
}

export interface DatabaseCreateEvent extends EventPlace {
  readonly type: 'database-create'
  readonly oid: number
  readonly tablespace: number
  /** Where it was copied from as files; without it all of its blocks come in the log. */
  readonly copiedFrom?: { readonly oid: number; readonly tablespace: number }
}

export interface DatabaseDropEvent extends EventPlace {
  readonly type: 'database-drop'
  readonly oid: number
  /** Where it had files. */
  readonly tablespaces: readonly number[]
}

export interface TablespaceEvent extends EventPlace {
  readonly type: 'tablespace-create' | 'tablespace-drop'
  readonly oid: number
  /** Of a new one. */
  readonly location?: string
}

/** The files of catalogs that have no row in pg_class to say theirs. */
export interface RelationMapEvent extends EventPlace {
  readonly type: 'relation-map'
  /** 0: those that all databases share. */
  readonly database: number
  readonly tablespace: number
}

export interface SequenceEvent extends EventPlace {
  readonly type: 'sequence'
  readonly file: RelationFile
}

export interface MessageEvent extends EventPlace {
  readonly type: 'message'
  readonly database: number
  readonly isTransactional: boolean
  readonly prefix: string
  readonly contentBytes: number
  /** Cut to what the reader kept. */
  readonly content: Uint8Array
}

export interface RunningTransactionsEvent extends EventPlace {
  readonly type: 'running-transactions'
  readonly nextXid: number
  /** None that runs is older. */
  readonly oldestRunningXid: number
  readonly latestCompletedXid: number
  readonly xids: readonly number[]
  readonly subxids: readonly number[]
  /** There are more subtransactions than `subxids` names. */
  readonly isOverflowed: boolean
}

/** Locks that a hot standby has to hold too: ACCESS EXCLUSIVE, as truncation and most changes of a definition take it. */
export interface LocksEvent extends EventPlace {
  readonly type: 'exclusive-locks'
  readonly locks: readonly { readonly xid: number; readonly database: number; readonly relationOid: number }[]
}

export interface CheckpointEvent extends EventPlace {
  readonly type: 'checkpoint'
  readonly kind: 'online' | 'shutdown'
  /** Where a replay from this checkpoint begins. */
  readonly redoLsn: Lsn
  readonly timeline: number
  readonly previousTimeline: number
  readonly fullPageWrites: boolean
  readonly nextXid: number
  /** How often transaction ids have begun anew. */
  readonly xidEpoch: number
  readonly nextOid: number
  readonly oldestXid: number
  /** 0 for a shutdown checkpoint. */
  readonly oldestActiveXid: number
  /** Whole seconds. */
  readonly at: InstantMicros
}

export interface EndOfRecoveryEvent extends EventPlace {
  readonly type: 'end-of-recovery'
  readonly timeline: number
  readonly previousTimeline: number
  readonly at: InstantMicros
}

export interface RestorePointEvent extends EventPlace {
  readonly type: 'restore-point'
  readonly name: string
  readonly at: InstantMicros
}

export interface ParameterChangeEvent extends EventPlace {
  readonly type: 'parameter-change'
  readonly maxConnections: number
  readonly maxWorkerProcesses: number
  readonly maxWalSenders: number
  readonly maxPreparedTransactions: number
  readonly maxLocksPerTransaction: number
  readonly walLevel: 'minimal' | 'replica' | 'logical'
  readonly walLogHints: boolean
  readonly trackCommitTimestamp: boolean
}

export interface FullPageWritesEvent extends EventPlace {
  readonly type: 'full-page-writes'
  readonly fullPageWrites: boolean
}

/** Nothing but whole pages: of a new file, or because a hint was set. */
export interface PageImagesEvent extends EventPlace {
  readonly type: 'page-images'
  readonly isForHint: boolean
}

export interface BackupEndEvent extends EventPlace {
  readonly type: 'backup-end'
  readonly startLsn: Lsn
}

/** After a crash: the record that began there was never finished. */
export interface AbandonedRecordEvent extends EventPlace {
  readonly type: 'abandoned-record'
  readonly abandonedLsn: Lsn
  readonly at: InstantMicros
}

export interface MarkEvent extends EventPlace {
  readonly type: 'switch' | 'checkpoint-redo' | 'no-operation' | 'next-oid'
}

/** Nothing that is decoded: an index, a visibility map, an extension … */
export interface OtherEvent extends EventPlace {
  readonly type: 'other'
  readonly rmgr: number
  readonly manager: string
  readonly info: number
}

/** It should be decoded, but was not understood; nothing is guessed. */
export interface UnknownEvent extends EventPlace {
  readonly type: 'unknown'
  readonly rmgr: number
  readonly manager: string
  readonly info: number
  /** `version`: of a server that is not known; `operation`: a kind that is not; `content`: does not fit its kind; `cut`: longer than what was kept. */
  readonly reason: 'version' | 'operation' | 'content' | 'cut'
}

export type WalEvent =
  | TransactionEndEvent
  | PrepareEvent
  | AssignmentEvent
  | InvalidationEvent
  | InsertEvent
  | MultiInsertEvent
  | UpdateEvent
  | DeleteEvent
  | TupleEvent
  | TruncateEvent
  | FileCreateEvent
  | FileTruncateEvent
  | DatabaseCreateEvent
  | DatabaseDropEvent
  | TablespaceEvent
  | RelationMapEvent
  | SequenceEvent
  | MessageEvent
  | RunningTransactionsEvent
  | LocksEvent
  | CheckpointEvent
  | EndOfRecoveryEvent
  | RestorePointEvent
  | ParameterChangeEvent
  | FullPageWritesEvent
  | PageImagesEvent
  | BackupEndEvent
  | AbandonedRecordEvent
  | MarkEvent
  | OtherEvent
  | UnknownEvent
