/**
 * A base backup by reading the server's files: what BASE_BACKUP does inside the server, done here between pg_backup_start and
 * pg_backup_stop. This thread lists, opens and plans; large files are read by the workers, straight into the shared slots.
 *
 * Order: start, everything else, then (when every byte of it was read) the control file, then stop. On a standby the control
 * file says until where the log must be replayed, so it must be as young as the youngest page.
 */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs'
import { sleep, throwIfAborted } from '../../../base/abort.ts'
import type { Clock } from '../../../base/clock.ts'
import { RetakeError, systemErrorCode } from '../../../base/errors.ts'
import type { ConnectionTarget } from '../../../postgres/connection/config.ts'
import type { Lsn } from '../../../postgres/lsn.ts'
import type { TarEntry } from '../../../postgres/tar.ts'
import { isLargeFile, LARGE_FILE_BYTES } from '../frame-cutter.ts'
import type { ServerLine } from '../server-line.ts'
import { FRAME_BYTES } from '../slab.ts'
import { disproveLocalCluster, type LocalCluster, readControlBytes } from './local-cluster.ts'
import { readFully } from './read-pieces.ts'
import { BackupSession } from './session.ts'
import { type FoundEntry, isGone, walkDataDirectory } from './walk.ts'

/** Takes the entries of a backup, one after the other. A promise that is returned holds the reading back. */
export interface FileIntake {
  begin(start: {
    readonly lsn: Lsn
    readonly timeline: number
    readonly tablespaces: LocalCluster['tablespaces']
    readonly sizeBytes: number
  }): void | Promise<void>
  /** A directory, a link, or the header of a file, whose content follows. */
  entry(entry: TarEntry): void | Promise<void>
  /** The next bytes of the file; only valid until the call has finished. */
  data(bytes: Uint8Array): void | Promise<void>
  /** The next bytes of the file are those of an open file, at the same place; whoever stores them reads them. */
  dataFrom(descriptor: number, lengthBytes: number): void | Promise<void>
  /** Takes over an open file of which so many bytes will be read; it is closed after that. */
  adopt(descriptor: number, lengthBytes: number): void
  endFile(): void
  /** Resolves when everything that was given has been read. */
  allRead(): Promise<void>
}

export interface CopyFilesOptions {
  readonly target: ConnectionTarget
  readonly line: ServerLine
  readonly local: LocalCluster
  readonly label: string
  readonly fastCheckpoint: boolean
  readonly maxRateKiB?: number | undefined
  readonly signal: AbortSignal
  /** Ends everything when the session that holds the server in backup mode breaks. */
  readonly lost: (error: unknown) => void
  readonly clock: Clock
}

export interface CopiedFiles {
  readonly stopLsn: Lsn
  readonly stopTimeline: number
  /** Such as names of what is neither file nor directory, and was left out. */
  readonly warnings: readonly string[]
}

/** @throws RetakeError `backup.refused`, `postgres.*`, `aborted`; and what the intake throws */
export async function copyFiles(options: CopyFilesOptions, intake: FileIntake): Promise<CopiedFiles> {
  const { target, local, label, signal, line } = options
  const sizeBytes = await measure(local, signal)
  await using session = await BackupSession.open(target, { signal, lost: options.lost })
  const { startLsn, startTimeline } = await session.start(label, options)
  await intake.begin({ lsn: startLsn, timeline: startTimeline, tablespaces: local.tablespaces, sizeBytes })
  await requireSame(line, local)
  const reader = new FileReader(options, intake)
  for await (const found of walkDataDirectory(local.dataDirectory, walkOptions(local))) await reader.read(found)
  await intake.allRead()
  throwIfAborted(signal)
  await requireSame(line, local)
  await reader.give('global/pg_control', await readControlBytes(local.dataDirectory))
  const stop = await session.stop()
  await reader.give('backup_label', Buffer.from(stop.label, 'utf8'))
  return { stopLsn: stop.stopLsn, stopTimeline: stop.stopTimeline, warnings: reader.warnings }
}

async function requireSame(line: ServerLine, local: LocalCluster): Promise<void> {
  const reason = await disproveLocalCluster(line, local.dataDirectory)
  if (reason === undefined) return
  throw new RetakeError(
    'backup.refused',
    `The files cannot be read directly. ${reason} Nothing of the backup is visible.`,
    {
      hint: 'Run: retake backup --via replication',
      details: { dataDirectory: local.dataDirectory },
    },
  )
}

/** What there will be to read, for the progress; files change meanwhile. */
async function measure(local: LocalCluster, signal: AbortSignal): Promise<number> {
  let sum = 0
  for await (const { sizeBytes } of walkDataDirectory(local.dataDirectory, walkOptions(local))) {
    throwIfAborted(signal)
    sum += sizeBytes
  }
  return sum
}

function walkOptions({ dataDirectory, tablespaces, tablespaceDirectory }: LocalCluster) {
  return {
    tablespaceOids: tablespaces.map(({ oid }) => oid),
    tablespaceDirectory,
    directoryMode: statSync(dataDirectory).mode & 0o777,
  }
}

const MAX_WARNINGS = 1000

class FileReader {
  readonly warnings: string[] = []
  readonly #options: CopyFilesOptions
  readonly #intake: FileIntake
  readonly #small = Buffer.allocUnsafe(LARGE_FILE_BYTES)
  readonly #startedAtMs: number
  #doneBytes = 0

  constructor(options: CopyFilesOptions, intake: FileIntake) {
    this.#options = options
    this.#intake = intake
    this.#startedAtMs = options.clock.monotonicMs()
  }

  async read(found: FoundEntry): Promise<void> {
    const { signal } = this.#options
    throwIfAborted(signal)
    const { type, path, mode, linkTarget } = found
    if (type === 'file') return this.#readFile(found)
    if (type === 'special') {
      if (this.warnings.length < MAX_WARNINGS) this.warnings.push(`skipping special file "./${path}"`)
      return
    }
    const entryType = type === 'link' ? 'symlink' : type
    await this.#intake.entry({ type: entryType, path, mode, sizeBytes: 0, modifiedAtSeconds: 0, linkTarget })
  }

  /** A file whose content is known: as the server would send it, with the access that PGDATA itself grants. */
  async give(path: string, content: Buffer): Promise<void> {
    const { dataDirectory } = this.#options.local
    const onDisk = path === 'backup_label' ? undefined : statSync(`${dataDirectory}/${path}`)
    const shared = (statSync(dataDirectory).mode & 0o040) !== 0
    await this.#intake.entry({
      type: 'file',
      path,
      mode: onDisk ? onDisk.mode & 0o7777 : shared ? 0o640 : 0o600,
      sizeBytes: content.length,
      modifiedAtSeconds: Math.floor((onDisk?.mtimeMs ?? this.#options.clock.now().getTime()) / 1000),
      linkTarget: undefined,
    })
    await this.#intake.data(content)
    this.#intake.endFile()
  }

  async #readFile(found: FoundEntry): Promise<void> {
    const descriptor = openFile(found)
    if (descriptor === undefined) return
    let handedOver = false
    try {
      const stats = fstatSync(descriptor)
      if (!stats.isFile()) return
      await this.#intake.entry(entryOf(found, stats))
      if (isLargeFile(stats.size)) {
        handedOver = true
        await this.#giveLarge(descriptor, stats.size)
      } else await this.#giveSmall(descriptor, stats.size)
      this.#intake.endFile()
    } finally {
      if (!handedOver) closeSync(descriptor)
    }
  }

  async #giveSmall(descriptor: number, sizeBytes: number): Promise<void> {
    const bytes = this.#small.subarray(0, sizeBytes)
    bytes.fill(0, readFully(descriptor, bytes, 0))
    await this.#intake.data(bytes)
    await this.#pace(sizeBytes)
  }

  /** By frames, so that an abort and the rate limit are heeded in the middle of a file. */
  async #giveLarge(descriptor: number, sizeBytes: number): Promise<void> {
    this.#intake.adopt(descriptor, sizeBytes)
    for (let offset = 0; offset < sizeBytes; offset += FRAME_BYTES) {
      const lengthBytes = Math.min(FRAME_BYTES, sizeBytes - offset)
      await this.#intake.dataFrom(descriptor, lengthBytes)
      await this.#pace(lengthBytes)
      throwIfAborted(this.#options.signal)
    }
  }

  async #pace(lengthBytes: number): Promise<void> {
    const { maxRateKiB, clock, signal } = this.#options
    this.#doneBytes += lengthBytes
    if (maxRateKiB === undefined) return
    const dueMs = this.#startedAtMs + (this.#doneBytes / (maxRateKiB * 1024)) * 1000
    const earlyMs = dueMs - clock.monotonicMs()
    if (earlyMs > 0) await sleep(earlyMs, signal)
  }
}

/** Undefined when it has vanished since it was listed. No link is followed: a name may have changed its meaning. */
function openFile({ location, path }: FoundEntry): number | undefined {
  try {
    return openSync(location, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (isGone(error)) return undefined
    const code = systemErrorCode(error)
    // ELOOP: it is a link now.
    if (code === 'ELOOP') return undefined
    if (code !== 'EACCES' && code !== 'EPERM') throw error
    throw new RetakeError('backup.refused', `The server's file ${path} is closed to this user.`, {
      hint: 'Run as the user of the server, or: retake backup --via replication',
      cause: error,
    })
  }
}

function entryOf(found: FoundEntry, stats: Stats): TarEntry {
  return {
    type: 'file',
    path: found.path,
    mode: stats.mode & 0o7777,
    sizeBytes: stats.size,
    modifiedAtSeconds: Math.floor(stats.mtimeMs / 1000),
    linkTarget: undefined,
  }
}
