/** The mechanics of starting a server: where its socket and log are, and the process itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdtemp, open, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import type { ServerAccount } from './account.ts'
import { serverEnvironment } from './environment.ts'
import { findFreePort } from './free-port.ts'
import type { LocalServerOptions } from './server-options.ts'

export interface ServerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface SpawnedServer {
  readonly child: ChildProcess
  readonly pid: number
  readonly exited: Promise<ServerExit>
}

export interface ServerPlace {
  readonly dataDir: string
  readonly port: number
  readonly socketDir: string
  readonly logFile: string
  /** Made for this server alone, and removed with it. */
  readonly privateDir: string | undefined
}

/** `sun_path` is 104 bytes on macOS and 108 on Linux, with the terminating zero. */
const SOCKET_PATH_LIMIT_BYTES = 103

/** Chooses port, socket directory and log file; what is not given lies in a new private directory. */
export async function preparePlace(
  options: LocalServerOptions,
  account: ServerAccount | undefined,
): Promise<ServerPlace> {
  const port = options.port ?? (await findFreePort())
  const place = { dataDir: options.dataDir, port }
  if (options.socketDir !== undefined) requireShort(options.socketDir, port)
  if (options.socketDir !== undefined && options.logFile !== undefined) {
    return { ...place, socketDir: options.socketDir, logFile: options.logFile, privateDir: undefined }
  }
  const privateDir = await createPrivateDirectory(account)
  return {
    ...place,
    socketDir: options.socketDir ?? privateDir,
    logFile: options.logFile ?? path.join(privateDir, 'server.log'),
    privateDir,
  }
}

function requireShort(socketDir: string, port: number): void {
  const socketBytes = Buffer.byteLength(path.join(socketDir, `.s.PGSQL.${port}`))
  if (socketBytes <= SOCKET_PATH_LIMIT_BYTES) return
  throw new RetakeError(
    'config.invalid',
    `${socketDir} is too long for a Unix socket (${socketBytes} bytes; ${SOCKET_PATH_LIMIT_BYTES} are possible).`,
    { hint: 'Name a shorter socket directory.' },
  )
}

async function createPrivateDirectory(account: ServerAccount | undefined): Promise<string> {
  // Some systems give every user a long temporary directory, and a socket's path must be short.
  const base = Buffer.byteLength(os.tmpdir()) > 60 ? '/tmp' : os.tmpdir()
  const directory = await mkdtemp(path.join(base, 'retake-pg-'))
  if (account !== undefined) await chown(directory, account.uid, account.gid)
  return directory
}

/** @throws RetakeError `dependency.missing` when the program cannot be run at all */
export async function spawnServer(
  options: LocalServerOptions,
  place: ServerPlace,
  account: ServerAccount | undefined,
): Promise<SpawnedServer> {
  try {
    await using log = await open(place.logFile, 'a', 0o600)
    const child = spawn(path.join(options.binDir, 'postgres'), serverArguments(options, place), {
      ...(account && { uid: account.uid, gid: account.gid }),
      env: serverEnvironment(process.env, options.env),
      cwd: place.dataDir,
      stdio: ['ignore', log.fd, log.fd],
      // A session of its own: Ctrl-C in our terminal is for us, and we stop the server in order.
      detached: true,
    })
    return await started(child)
  } catch (error) {
    if (place.privateDir !== undefined) await rm(place.privateDir, { recursive: true, force: true })
    throw error
  }
}

function started(child: ChildProcess): Promise<SpawnedServer> {
  // Listened for from the first moment: the process may end before anybody waits for it.
  const exited = new Promise<ServerExit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve({ child, pid: child.pid as number, exited }))
    child.once('error', (cause) => {
      reject(new RetakeError('dependency.missing', `The server cannot be started: ${cause.message}.`, { cause }))
    })
  })
}

function serverArguments(options: LocalServerOptions, place: ServerPlace): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(place.port),
    unix_socket_directories: place.socketDir,
    // Its log must come to our file, in English, whatever the cluster's own settings say.
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C',
    ...options.settings,
  }
  return ['-D', place.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}
