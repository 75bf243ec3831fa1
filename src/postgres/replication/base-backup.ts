/**
 * BASE_BACKUP in the grammar of PostgreSQL 15 and later.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
 */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ServerMessage } from '../connection/errors.ts'
import { type Lsn, parseLsn } from '../lsn.ts'
import type { ReplicationConnection } from './connection.ts'
import type { CopyPiece } from './message-reader.ts'
import { backend, protocolError, type ResultSet, required, singleRow } from './messages.ts'
import { unexpected, type WireSession } from './wire-session.ts'

export interface BackupStart {
  /** Where recovery from this backup begins. */
  readonly lsn: Lsn
  readonly timeline: number
  /** Without PGDATA itself. Sizes are estimates of the server. */
  readonly tablespaces: { readonly oid: number; readonly location: string; readonly sizeBytes: number }[]
  /** The server's estimate for PGDATA. */
  readonly baseSizeBytes: number
}

/** Receives the backup. Calls are strictly sequential; a promise that is returned holds the server back. */
export interface BaseBackupSink {
  begin(start: BackupStart): void | Promise<void>
  /** A new archive: `base.tar` (location empty) or `<oid>.tar`. Tablespaces come first, PGDATA last. */
  archive(name: string, tablespaceLocation: string): void | Promise<void>
  /** The next bytes of the archive, in pieces of any size; only valid until the call has finished. */
  data(bytes: Buffer): void | Promise<void>
  /** The next bytes of the server's backup_manifest, in pieces; only valid until the call has finished. */
  manifest(bytes: Buffer): void | Promise<void>
}

export interface BaseBackupOptions {
  readonly label: string
  /** Checkpoint at once (a burst of writes on the server) instead of spread (a wait of up to minutes). */
  readonly fastCheckpoint: boolean
  /** Let the server check page checksums while it reads. */
  readonly verifyChecksums: boolean
  /** Send only what changed since the backup whose manifest was uploaded before; see `incremental-file.ts`. From PostgreSQL 17 on. */
  readonly incremental?: boolean | undefined
  /** Between 32 and 1048576. Default: as fast as the receiver takes it. */
  readonly maxRateKiB?: number | undefined
  /** Cancels the command and breaks the connection; the server drops its backup. */
  readonly signal?: AbortSignal | undefined
}

export interface BaseBackupResult {
  /** WAL up to here is needed before a restore is consistent. */
  readonly stopLsn: Lsn
  readonly stopTimeline: number
  /** Pages that failed the server's check; all bytes arrived nevertheless. 0 unless `verifyChecksums`. */
  readonly serverChecksumFailures: number
  /** What the server warned of, such as the names of files with failed pages. */
  readonly warnings: readonly string[]
}

/**
 * Takes a base backup. The connection can be used again afterwards, unless it was aborted or the sink threw.
 *
 * @throws RetakeError `postgres.privilege`, `postgres.error`, `postgres.connection-lost`, `aborted`; and what the sink throws
 */
export async function runBaseBackup(
  connection: ReplicationConnection,
  options: BaseBackupOptions,
  sink: BaseBackupSink,
): Promise<BaseBackupResult> {
  const { wire } = connection
  const warnings: string[] = []
  const checksums = new ChecksumNotices()
  using _busy = wire.occupy('BASE_BACKUP')
  // Until the first byte the server waits for a checkpoint, for minutes if it is spread, and does not look at the connection.
  using _breaker = wire.breakOn(options.signal, { cancel: true })
  wire.onNotice = (notice) => {
    checksums.note(notice)
    if (notice.severity === 'WARNING' && warnings.length < MAX_WARNINGS) warnings.push(notice.message)
  }
  try {
    wire.command(baseBackupCommand(options))
    await sink.begin(readStart(await wire.readOneResult(), await wire.readOneResult()))
    await receiveArchives(wire, sink)
    const stop = readPosition(await wire.readOneResult())
    const failed = await finishBackup(wire)
    return {
      stopLsn: stop.lsn,
      stopTimeline: stop.timeline,
      serverChecksumFailures: failed ? Math.max(1, checksums.count) : 0,
      warnings,
    }
  } finally {
    wire.onNotice = undefined
  }
}

const MAX_WARNINGS = 1000

/** The command; exported for its test. */
export function baseBackupCommand(options: Omit<BaseBackupOptions, 'signal'>): string {
  const rate = options.maxRateKiB
  if (rate !== undefined && !(Number.isInteger(rate) && rate >= 32 && rate <= 1_048_576)) {
    throw new RetakeError('config.invalid', `A rate of ${rate} KiB/s is not possible.`, {
      hint: 'Use a whole number from 32 to 1048576.',
    })
  }
  if (options.label.includes('\0'))
    throw new RetakeError('config.invalid', 'A backup label cannot contain a NUL character.')
  const list = [
    `LABEL '${options.label.replaceAll("'", "''")}'`,
    // Only for the estimate of sizes; we count the bytes ourselves.
    'PROGRESS true',
    `CHECKPOINT '${options.fastCheckpoint ? 'fast' : 'spread'}'`,
    'WAL false',
    'WAIT false',
    "MANIFEST 'yes'",
    "MANIFEST_CHECKSUMS 'CRC32C'",
    `VERIFY_CHECKSUMS ${options.verifyChecksums}`,
    'TABLESPACE_MAP false',
    ...(rate === undefined ? [] : [`MAX_RATE ${rate}`]),
    ...(options.incremental ? ['INCREMENTAL true'] : []),
  ]
  return `BASE_BACKUP (${list.join(', ')})`
}

function readPosition(result: ResultSet): { readonly lsn: Lsn; readonly timeline: number } {
  const value = singleRow(result, 'BASE_BACKUP')
  return { lsn: parseLsn(required(value('recptr'), 'recptr')), timeline: Number(required(value('tli'), 'tli')) }
}

function readStart(position: ResultSet, tablespaces: ResultSet): BackupStart {
  const rows = tablespaces.rows.map((_, index) => {
    const value = singleRow(
      { columns: tablespaces.columns, rows: tablespaces.rows.slice(index, index + 1) },
      'BASE_BACKUP',
    )
    const oid = value('spcoid')
    return {
      oid: oid === undefined ? undefined : Number(oid),
      location: value('spclocation') ?? '',
      sizeBytes: Number(value('size') ?? 0) * 1024,
    }
  })
  return {
    ...readPosition(position),
    tablespaces: rows.flatMap(({ oid, ...rest }) => (oid === undefined ? [] : [{ oid, ...rest }])),
    // The row without an oid is PGDATA itself.
    baseSizeBytes: rows.find((row) => row.oid === undefined)?.sizeBytes ?? 0,
  }
}

async function receiveArchives(wire: WireSession, sink: BaseBackupSink): Promise<void> {
  const opening = await wire.readMessage()
  if (opening.code === backend.errorResponse) throw await wire.finishError(opening.body)
  if (opening.code !== backend.copyOutResponse) throw unexpected(opening.code)
  const stream = new ArchiveStream(sink)
  for (;;) {
    const next = wire.read()
    const piece = next instanceof Promise ? await next : next
    if (piece.kind === 'copy') {
      const held = stream.take(piece)
      if (held) await held
    } else if (piece.code === backend.errorResponse) throw await wire.finishError(piece.body)
    else if (piece.code === backend.copyDone) return
    else throw unexpected(piece.code)
  }
}

const NEW_ARCHIVE = 0x6e // 'n'
const MANIFEST = 0x6d // 'm'
const DATA = 0x64 // 'd'
const PROGRESS = 0x70 // 'p'
const MAX_ARCHIVE_HEADER_BYTES = 64 * 1024

/** Takes the type byte off each CopyData message and passes the rest on, uncopied. */
class ArchiveStream {
  readonly #sink: BaseBackupSink
  #type = 0
  #header: Buffer[] = []
  #headerBytes = 0
  #into: 'archive' | 'manifest' | undefined

  constructor(sink: BaseBackupSink) {
    this.#sink = sink
  }

  take(piece: CopyPiece): void | Promise<void> {
    let bytes = piece.bytes
    if (piece.first) {
      this.#type = bytes[0] ?? 0
      bytes = bytes.subarray(1)
      if (this.#type === MANIFEST) this.#into = 'manifest'
    }
    if (this.#type === DATA) return bytes.length > 0 ? this.#pass(bytes) : undefined
    if (this.#type === NEW_ARCHIVE) return this.#collectHeader(bytes, piece.last)
    if (this.#type !== MANIFEST && this.#type !== PROGRESS)
      throw protocolError(`backup data of unknown type ${this.#type}`)
    return undefined
  }

  #pass(bytes: Buffer): void | Promise<void> {
    if (this.#into === 'archive') return this.#sink.data(bytes)
    if (this.#into === 'manifest') return this.#sink.manifest(bytes)
    throw protocolError('backup data before the first archive')
  }

  #collectHeader(bytes: Buffer, last: boolean): void | Promise<void> {
    this.#headerBytes += bytes.length
    if (this.#headerBytes > MAX_ARCHIVE_HEADER_BYTES) throw protocolError('the name of an archive is too long')
    this.#header.push(Buffer.from(bytes))
    if (!last) return undefined
    const [name, location] = Buffer.concat(this.#header).toString('utf8').split('\0')
    this.#header = []
    this.#headerBytes = 0
    this.#into = 'archive'
    return this.#sink.archive(required(name, 'the name of an archive'), location ?? '')
  }
}

/**
 * Reads to the end of the command. True when the server ended it with "checksum verification failure": it says so after everything,
 * stop position included, has been sent, so the backup is whole and the damage is a finding.
 */
async function finishBackup(wire: WireSession): Promise<boolean> {
  try {
    await wire.readResults()
    return false
  } catch (error) {
    if (isRetakeError(error) && error.details.sqlState === 'XX001') return true
    throw error
  }
}

/** Counts failed pages from the server's warnings: one for each page (at most five for a file), then totals. */
class ChecksumNotices {
  #pages = 0
  #total = 0

  /** With several failures the server states their total; else each page was named. */
  get count(): number {
    return Math.max(this.#pages, this.#total)
  }

  note(notice: ServerMessage): void {
    if (notice.sqlState !== 'XX001' && notice.sqlState !== '01000') return
    const total = /^(\d+) total checksum verification failures?/.exec(notice.message)
    if (total) this.#total = Number(total[1])
    else if (/checksum verification failed/.test(notice.message)) this.#pages++
  }
}
