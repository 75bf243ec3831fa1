import type { StorageProbe } from './storage-probe.ts'
import type { StoreAddress } from './store-address.ts'

/**
 * The contract between Retake and the place where objects live. Every implementation passes `testing/object-store-contract.ts`.
 *
 * - **Atomic**: a reader sees a whole object or none. Nothing is visible before `create`, `commit` or `replace` resolves.
 * - **Durable**: when one of them resolves, the object survives a power failure. On a directory: file and directory are fsynced.
 * - **Immutable**: `create` and `commit` never overwrite; only `replace` does, and it is used alone for leases, readers, the WAL
 *   position and notes of verification.
 * - **Read after write**: what resolved is seen by every later `get`, `head` and `list`, in byte order of keys.
 *
 * Keys are relative, `/`-separated, of the characters `A-Z a-z 0-9 . _ -`; no segment is empty, `.` or `..`, and the first does
 * not begin with a dot. No key may continue another one with a `/` (a directory could not hold both).
 * Failures are RetakeErrors: `storage.full`, `storage.read-only`, `storage.failed`, `storage.unreachable`, `storage.denied`; they
 * name the object. What is still under retention is not deleted: `storage.locked`, with `details.until` where that is known.
 */
export interface ObjectInfo {
  readonly key: string
  readonly sizeBytes: number
}

/** One stored version of an object, and what keeps it from being deleted. */
export interface StoredVersion {
  readonly key: string
  /** Absent where no versions are kept. */
  readonly versionId?: string | undefined
  /** When its retention ends; may lie in the past. */
  readonly lockedUntil?: Date | undefined
  /** Somebody has said that it must stay, until they say otherwise. */
  readonly hasLegalHold: boolean
}

export interface ByteRange {
  readonly offsetBytes: number
  readonly lengthBytes: number
}

/** What is written: one piece, or several that belong one after the other. They are not kept, and not copied where that can be avoided. */
export type ObjectBody = Uint8Array | readonly Uint8Array[]

export interface ListOptions {
  /** Only keys after this one in byte order; it need not exist. */
  readonly startAfter?: string | undefined
}

export interface DeleteOptions {
  /**
   * Where the object is kept in several places: `all` (default) refuses unless every one of them can be reached and holds everything, so
   * that none brings it back; `reachable` is for what may come back harmlessly.
   */
  readonly copies?: 'all' | 'reachable' | undefined
  /** Where the storage keeps versions: also those of an object that is hidden already. Default false: it is gone for every reader. */
  readonly alsoHidden?: boolean | undefined
}

export interface ObjectReader {
  /** The bytes, or undefined when there is no such object. A range past the end returns what exists. */
  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined>
  head(key: string): Promise<ObjectInfo | undefined>
  /** Where the storage answers both with one request: how long an object is, and its last bytes, at most so many. */
  readonly getEnd?: (
    key: string,
    lengthBytes: number,
  ) => Promise<{ readonly sizeBytes: number; readonly ending: Uint8Array } | undefined>
  /** All objects whose key starts with `prefix`, in byte order. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>
  /**
   * Where the objects are kept in several places: the other copies, for whoever finds that what was read of `key` is not authentic. Only
   * the reader can know that; asking is taken as saying so.
   */
  readonly alternatives?: (key: string) => readonly ObjectReader[]
}

export interface ObjectStore extends ObjectReader, AsyncDisposable {
  /** For messages; carries no secret. */
  readonly url: string
  /** What {@link openStore} takes to open it again in another thread, when that is not its URL. */
  readonly address?: StoreAddress
  /** Writes a whole object; false when the key already exists (the object there is left as it is). */
  create(key: string, body: ObjectBody): Promise<boolean>
  /** Writes an object piece by piece with bounded memory; invisible until {@link ObjectWriter.commit}. */
  openWriter(key: string): Promise<ObjectWriter>
  /** Writes or overwrites. Only for the few objects that are allowed to change. */
  replace(key: string, body: ObjectBody): Promise<void>
  /** False when there was no such object. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>
  /**
   * Where the storage can append durably (a directory, not a bucket): a new object that is visible while it grows.
   * @throws RetakeError `repo.conflict` when the key exists
   */
  readonly openAppender?: (key: string) => Promise<ObjectAppender>
  /**
   * Where the storage keeps objects under retention: locks one at least until a moment, and never shortens.
   * @returns until when it is locked now; undefined when there is no such object
   */
  readonly retain?: (key: string, until: Date) => Promise<Date | undefined>
  /** With {@link retain}: for how many days what is written stays locked. */
  readonly retainDays?: number | undefined
  /**
   * Where the storage may keep what is deleted (a bucket): every stored version below a prefix, hidden ones too, and what holds it.
   * The storage is asked for each; not being told is an error, never taken for "nothing".
   * @throws RetakeError `storage.denied` when these credentials may not know
   */
  readonly versions?: ((prefix: string) => Promise<readonly StoredVersion[]>) | undefined
  /** Where it depends on the place whether this contract holds: tries it, with objects that are gone afterwards; else undefined. */
  readonly probe?: () => Promise<StorageProbe | undefined>
}

/** Disposing an uncommitted writer removes what it wrote. After a failed write only disposal is possible. */
export interface ObjectWriter extends AsyncDisposable {
  write(body: ObjectBody): Promise<void>
  /** Makes the object durable, then visible; false when the key already exists. */
  commit(): Promise<boolean>
}

/** After a failed append or sync the appender refuses everything but disposal: what follows the failure must not look whole. */
export interface ObjectAppender extends AsyncDisposable {
  /** Appends; durable only after the next {@link sync}. */
  append(body: ObjectBody): Promise<void>
  /** Everything appended before the call survives a power failure once this resolves. */
  sync(): Promise<void>
}
