/**
 * The place of a server that is there for a moment: its data directory, its socket, and a marker that says whose it is and until when.
 * What a killed process left is found by its marker and removed by the next one. Every path is derived from the directory itself: a
 * marker is only read, and never tells where to delete.
 */
import { randomBytes } from 'node:crypto'
import { chown, lstat, mkdir, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { currentProcess, type ProcessIdentity } from '../../base/process-identity.ts'
import { type ServerAccount, serverAccount } from '../../postgres/server/account.ts'
import { killServerProcesses, listProcesses } from '../../postgres/server/process-tree.ts'
import { replaceFile } from '../durable-files.ts'
import { hasEnded } from '../target-directory.ts'

const PREFIX = 'retake-open-'
const MARKER = 'open.json'
/** `.s.PGSQL.<port>` below it; 103 bytes are possible on every system. */
const MOST_SOCKET_BYTES = 103 - '/s/.s.PGSQL.65535'.length

export interface TemporaryPlace extends AsyncDisposable {
  readonly directory: string
  readonly dataDirectory: string
  /** Only the account of the server can enter it. */
  readonly socketDirectory: string
  readonly hbaFile: string
  readonly account: ServerAccount | undefined
}

interface PlaceMarker {
  readonly tool: 'retake open'
  readonly process: ProcessIdentity
  /** ISO 8601 UTC. Whoever comes later may remove it even when the process lives. */
  readonly until?: string | undefined
}

/** @throws RetakeError `config.invalid` when the parent is not there, cannot be written or has too long a path */
export async function makeTemporaryPlace(
  parent: string,
  options: { readonly until?: Date | undefined } = {},
): Promise<TemporaryPlace> {
  const place = placeAt(path.join(path.resolve(parent), `${PREFIX}${randomBytes(4).toString('hex')}`))
  if (Buffer.byteLength(place.directory) > MOST_SOCKET_BYTES) {
    throw new RetakeError('config.invalid', `${place.directory} is too long for the socket of a server.`, {
      hint: 'Name a directory with a shorter path: --dir DIR.',
    })
  }
  try {
    await mkdir(place.directory, { mode: 0o700 })
  } catch (cause) {
    throw new RetakeError('config.invalid', `No server can be made in ${parent} (${systemErrorCode(cause)}).`, {
      hint: 'Name a directory that is there and can be written: --dir DIR.',
      cause,
    })
  }
  const { until } = options
  const marker: PlaceMarker = { tool: 'retake open', process: currentProcess(), until: until?.toISOString() }
  await replaceFile(path.join(place.directory, MARKER), `${JSON.stringify(marker)}\n`)
  await mkdir(place.socketDirectory, { mode: 0o700 })
  // Who gets so far is the account of the server, or root: nobody else can enter the directory.
  await writeFile(place.hbaFile, 'local all all trust\n', { mode: 0o600 })
  if (place.account) {
    const { uid, gid } = place.account
    for (const own of [place.socketDirectory, place.hbaFile, place.directory]) await chown(own, uid, gid)
  }
  return place
}

/** Removes what processes left that have ended, or whose time is over. @returns the directories */
export async function sweepTemporaryPlaces(parent: string, clock: Clock): Promise<string[]> {
  const swept: string[] = []
  for (const name of await namesIn(parent)) {
    if (!name.startsWith(PREFIX)) continue
    const directory = path.join(path.resolve(parent), name)
    const marker = await readOwnMarker(directory)
    if (!marker) continue
    const isOver = marker.until !== undefined && Date.parse(marker.until) < clock.now().getTime()
    if (!isOver && !hasEnded(marker.process)) continue
    await placeAt(directory)[Symbol.asyncDispose]()
    swept.push(directory)
  }
  return swept
}

/**
 * Beside what every restored server has (`recovery/settings.ts`: archive_mode off, no primary, no standbys to wait for): nobody comes in
 * but through the socket, nothing goes out, nothing runs by itself (R10). And nothing of it is needed after a crash.
 */
export function isolationSettings(
  place: Pick<TemporaryPlace, 'socketDirectory' | 'hbaFile'>,
  { major }: { readonly major: number },
): Readonly<Record<string, string>> {
  return {
    listen_addresses: '',
    unix_socket_directories: place.socketDirectory,
    unix_socket_permissions: '0700',
    unix_socket_group: '',
    hba_file: place.hbaFile,
    ssl: 'off',
    bonjour: 'off',
    // pg_cron, pg_net and their like work only when they are preloaded, subscriptions only with their launcher.
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',
    max_logical_replication_workers: '0',
    archive_command: '',
    archive_library: '',
    // Autovacuum would look for tables whose files were left out.
    autovacuum: 'off',
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    // Pages that were just written are in memory, and most records are no-ops.
    recovery_prefetch: 'off',
    shared_buffers: '64MB',
    min_dynamic_shared_memory: '0',
    huge_pages: 'off',
    jit: 'off',
    max_parallel_workers_per_gather: '0',
    ...(major >= 17 ? { event_triggers: 'off', sync_replication_slots: 'off' } : {}),
    ...(major >= 18 ? { io_method: 'worker', oauth_validator_libraries: '' } : {}),
  }
}

/**
 * For a session: what roles and databases have been given (`ALTER ROLE … SET`) must not cut it short, load libraries, fire triggers or
 * change how values are written.
 */
export function sessionOptions(major: number): string {
  const settings: Readonly<Record<string, string>> = {
    session_preload_libraries: '',
    local_preload_libraries: '',
    // Event triggers do not fire in this role, on versions that cannot switch them off.
    session_replication_role: 'replica',
    search_path: 'pg_catalog',
    row_security: 'off',
    statement_timeout: '0',
    lock_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    idle_session_timeout: '0',
    default_transaction_read_only: 'off',
    ...(major >= 17 ? { transaction_timeout: '0' } : {}),
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}

function placeAt(directory: string): TemporaryPlace {
  const dataDirectory = path.join(directory, 'data')
  const socketDirectory = path.join(directory, 's')
  return {
    directory,
    dataDirectory,
    socketDirectory,
    hbaFile: path.join(directory, 'hba.conf'),
    account: serverAccount(),
    async [Symbol.asyncDispose]() {
      await killServerIn(dataDirectory)
      for (const name of await namesIn(directory)) {
        if (name !== MARKER) await rm(path.join(directory, name), { recursive: true, force: true, maxRetries: 5 })
      }
      // The marker goes last: what is left by a removal that is cut short is found again.
      await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A server works in its data directory, which nobody else does. Process ids alone prove nothing, they are used again. */
async function killServerIn(dataDirectory: string): Promise<void> {
  const real = await realpath(dataDirectory).catch(() => undefined)
  if (real === undefined) return
  for (;;) {
    const inside: { readonly pid: number; readonly parentPid: number }[] = []
    for (const { pid, state, parentPid } of await listProcesses()) {
      if (state === 'Z' || pid === process.pid) continue
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
      if (cwd === real) inside.push({ pid, parentPid })
    }
    // Whose parent is elsewhere is the postmaster, and takes the others along.
    const top = inside.find(({ parentPid }) => !inside.some(({ pid }) => pid === parentPid))
    if (!top) return
    await killServerProcesses(top.pid)
  }
}

/** Undefined when it is no place of ours, or somebody else has put it there. */
async function readOwnMarker(directory: string): Promise<PlaceMarker | undefined> {
  try {
    const file = path.join(directory, MARKER)
    const [info, own] = [await lstat(file), process.getuid?.()]
    if (!info.isFile() || (own !== undefined && info.uid !== own)) return undefined
    const marker = JSON.parse(await readFile(file, 'utf8')) as Partial<PlaceMarker>
    return marker.tool === 'retake open' && marker.process ? (marker as PlaceMarker) : undefined
  } catch (error) {
    if (error instanceof SyntaxError || ['ENOENT', 'EACCES', 'ENOTDIR'].includes(systemErrorCode(error) ?? ''))
      return undefined
    throw error
  }
}

/** None where the directory is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}
