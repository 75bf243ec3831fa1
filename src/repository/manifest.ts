/**
 * What a backup is: a summary, and one entry per directory, link and file. A manifest is complete by itself (R2):
 * it restores with the packs it names and no other manifest. The encoding is in `docs/design/repository-format.md`.
 */

/** Where a frame is stored; enough to fetch, authenticate and unpack it with one range read. */
export interface FrameRef {
  /** Index into the manifest's packs, in the order of their `pack` entries. */
  readonly pack: number
  /** Position of the frame in its pack; part of the cipher's nonce. */
  readonly index: number
  readonly offsetBytes: number
  /** Stored length, with the tag of the cipher. */
  readonly storedBytes: number
  /** Length of the plaintext. */
  readonly plainBytes: number
  readonly codec: FrameCodec
  /** Keyed BLAKE3 of the plaintext, base64url. */
  readonly contentId: string
}

export type FrameCodec = 'zstd' | 'raw'

/** A stretch of a file: bytes of a frame, or zeros when `frame` is absent. Runs are ordered, adjoin, and cover the file exactly. */
export interface FileRun {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly frame?: FrameRef | undefined
  /** Where the run begins inside the frame's plaintext. */
  readonly frameOffsetBytes: number
}

export type ManifestEntry = PackEntry | DirectoryEntry | LinkEntry | FileEntry

/** Declares a pack; always before the first entry that refers to it. */
export interface PackEntry {
  readonly type: 'pack'
  readonly packId: string
  /** The salt in the pack's header, base64url. With it and the epoch a reader derives the key without an extra read. */
  readonly salt: string
  /** Which data key of the cluster sealed the pack. */
  readonly epoch: number
}

/** Paths are relative to PGDATA, `/`-separated; a tablespace's content is found under `pg_tblspc/<oid>/`. */
export interface DirectoryEntry {
  readonly type: 'directory'
  readonly path: string
  readonly mode: number
}

/** A symbolic link that is not a tablespace (those are in the summary, because a restore may place them elsewhere). */
export interface LinkEntry {
  readonly type: 'link'
  readonly path: string
  readonly target: string
}

export interface FileEntry {
  readonly type: 'file'
  readonly path: string
  readonly sizeBytes: number
  readonly mode: number
  readonly modifiedMs: number
  readonly runs: readonly FileRun[]
  /** Blocks whose checksum failed because they were written during the backup; replay of the WAL replaces them. */
  readonly tornBlocks?: readonly number[] | undefined
  /** Blocks that are corrupt on the server itself; the backup holds them as they are. */
  readonly corruptBlocks?: readonly number[] | undefined
  /**
   * Of a relation's main fork: a bit for each page, lowest first, that says whether the page called all its rows visible; base64url,
   * without zeros at the end. PostgreSQL may set that flag without moving the page's LSN, so an incremental backup compares it.
   */
  readonly allVisible?: string | undefined
  /** Of a file that shares a frame with others: the content id of all its bytes, so that it is recognised without being stored again. */
  readonly contentId?: string | undefined
}

/** A database as the catalog named it while its backup began. Made anew, also with its old oid, it has another version. */
export interface DatabaseVersion {
  readonly oid: number
  readonly version: string
}

/** How an incremental backup knew which pages had changed since its parent. */
export type ChangeSource = 'wal-summaries' | 'page-lsn' | 'content'

export interface TablespaceInfo {
  readonly oid: number
  readonly location: string
}

export interface BackupSummary {
  readonly backupId: string
  /** `incremental`: what its parent already held is referred to. Either kind is complete by itself. */
  readonly type: 'full' | 'incremental'
  /** Of an incremental one; for information only. */
  readonly parent?: string | undefined
  readonly changeSource?: ChangeSource | undefined
  /** Why it is a full one, or took a slower way to the changes, though neither was asked for: a sentence. */
  readonly reason?: string | undefined
  /** How the files were read: sent by the server, or where they lie on its machine. */
  readonly via?: 'replication' | 'files' | undefined
  readonly label?: string | undefined
  /** What asked for it: there is one backup for a request, however often it is made. */
  readonly request?: string | undefined
  readonly cluster: string
  readonly systemIdentifier: string
  readonly serverVersionNum: number
  readonly blockSizeBytes: number
  readonly walSegmentSizeBytes: number
  readonly dataChecksums: boolean
  readonly timeline: number
  /** `X/Y`; where replay begins. */
  readonly startLsn: string
  readonly stopTimeline: number
  /** `X/Y`; before this position the restored files are not consistent. */
  readonly stopLsn: string
  /** The server's clock, ISO 8601 UTC. */
  readonly startedAt: string
  readonly stoppedAt: string
  readonly tablespaces: readonly TablespaceInfo[]
  readonly databases?: readonly DatabaseVersion[] | undefined
  readonly fileCount: number
  /** Plaintext bytes of all files. */
  readonly totalBytes: number
  /** Bytes added to the repository by this backup. */
  readonly storedBytes: number
  /** Bytes that came from the server. */
  readonly readBytes?: number | undefined
  /** Of an incremental one: bytes of pages and files that were not as its parent holds them. */
  readonly changedBytes?: number | undefined
  /** Packs that the manifest names, those of earlier backups among them. */
  readonly packCount: number
  readonly tornBlockCount: number
  readonly corruptBlockCount: number
  readonly retakeVersion: string
}
