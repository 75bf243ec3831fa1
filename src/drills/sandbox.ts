/**
 * The directory of one drill: the data directory of the throw-away server, its socket, and a marker that says whose it is. It is made for
 * the drill and goes with it; what a killed process left is found by its marker and removed by the next one (`sweep.ts`).
 *
 * Every path is derived from the directory itself: a marker is only read, and never tells where to delete.
 */
import { chown, lstat, mkdir, open, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { currentProcess, type ProcessIdentity } from '../base/process-identity.ts'
import { type ServerAccount, serverAccount } from '../postgres/server/account.ts'
import { replaceFile } from '../recovery/durable-files.ts'
import { makeHba } from './isolation.ts'
import { killSandboxServer } from './sandbox-server.ts'

export const SANDBOX_PREFIX = 'retake-drill-'
const MARKER = 'drill.json'
const DRAFT = 'record.json'

export interface Sandbox {
  readonly id: string
  readonly directory: string
  readonly dataDirectory: string
  /** Only the account of the server can enter it. */
  readonly socketDirectory: string
  readonly hbaFile: string
  readonly account: ServerAccount | undefined
}

export interface SandboxMarker {
  readonly tool: 'retake drill'
  readonly id: string
  readonly repositoryId: string
  readonly cluster: string
  readonly beganAt: string
  readonly by: string
  readonly request?: string | undefined
  readonly deep: boolean
  readonly process: ProcessIdentity
  /** Somebody wanted to look at it: it is left alone. */
  readonly kept?: true | undefined
}

/** `.s.PGSQL.<port>` below it; 103 bytes are possible on every system. */
const MOST_SOCKET_BYTES = 103 - '/s/.s.PGSQL.65535'.length

/**
 * Makes the directory, for the account of the server alone, and marks it; durable when it resolves.
 * @throws RetakeError `config.invalid` when the parent is not there, cannot be written or has too long a path
 */
export async function makeSandbox(parent: string, marker: Omit<SandboxMarker, 'tool' | 'process'>): Promise<Sandbox> {
  const sandbox = sandboxAt(path.join(path.resolve(parent), `${SANDBOX_PREFIX}${marker.id.slice(-8)}`), marker.id)
  if (Buffer.byteLength(sandbox.directory) > MOST_SOCKET_BYTES) {
    throw new RetakeError('config.invalid', `${sandbox.directory} is too long for the socket of a server.`, {
      hint: 'Name a directory with a shorter path: --dir DIR, or drillDirectory in the configuration.',
    })
  }
  try {
    await mkdir(sandbox.directory, { mode: 0o700 })
  } catch (error) {
    throw new RetakeError('config.invalid', `No drill can be made in ${parent} (${systemErrorCode(error)}).`, {
      hint: 'Name a directory that is there and can be written: --dir DIR, or drillDirectory in the configuration.',
      cause: error,
    })
  }
  await writeMarker(sandbox, { ...marker, tool: 'retake drill', process: currentProcess() })
  for (const directory of [sandbox.socketDirectory, sandbox.directory]) {
    if (directory !== sandbox.directory) await mkdir(directory, { mode: 0o700 })
    if (sandbox.account) await chown(directory, sandbox.account.uid, sandbox.account.gid)
  }
  await makeHba(sandbox)
  return sandbox
}

function sandboxAt(directory: string, id: string): Sandbox {
  return {
    id,
    directory,
    dataDirectory: path.join(directory, 'data'),
    socketDirectory: path.join(directory, 's'),
    hbaFile: path.join(directory, 'hba.conf'),
    account: serverAccount(),
  }
}

async function writeMarker({ directory }: Sandbox, marker: SandboxMarker): Promise<void> {
  await replaceFile(path.join(directory, MARKER), `${JSON.stringify(marker, undefined, 2)}\n`)
}

/** From now on nobody removes it but a person. */
export async function keepSandbox(sandbox: Sandbox, marker: SandboxMarker): Promise<void> {
  await writeMarker(sandbox, { ...marker, kept: true })
}

/**
 * What a directory says of itself. Undefined when it is no sandbox, or not one that this account (or, as root, the server's) has made: in
 * a directory where everybody may write, somebody else may have put it there.
 */
export async function readSandbox(
  directory: string,
): Promise<{ readonly sandbox: Sandbox; readonly marker: SandboxMarker } | undefined> {
  const info = await lstat(directory).catch(absent)
  if (!info?.isDirectory()) return undefined
  const file = path.join(directory, MARKER)
  const markerInfo = await lstat(file).catch(absent)
  const own = process.getuid?.()
  const account = serverAccount()
  if (!markerInfo?.isFile()) return undefined
  if (own !== undefined && (markerInfo.uid !== own || ![own, account?.uid].includes(info.uid))) return undefined
  const value = await readJson(file)
  const marker = value as Partial<SandboxMarker> | undefined
  if (marker?.tool !== 'retake drill' || !marker.id || !marker.process) return undefined
  return { sandbox: sandboxAt(directory, marker.id), marker: marker as SandboxMarker }
}

/** What the record will be, in case that this process ends before it is stored. Durable when it resolves. */
export async function writeDraft({ directory }: Sandbox, record: object): Promise<void> {
  await replaceFile(path.join(directory, DRAFT), JSON.stringify(record))
}

export function readDraft({ directory }: Sandbox): Promise<unknown> {
  return readJson(path.join(directory, DRAFT))
}

/** Ends the server and removes everything but the marker and the draft of the record. */
export async function emptySandbox(sandbox: Sandbox): Promise<void> {
  await killSandboxServer(sandbox)
  const { dataDirectory, socketDirectory, hbaFile } = sandbox
  for (const part of [dataDirectory, `${dataDirectory}.tablespaces`, socketDirectory, hbaFile]) {
    await rm(part, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The marker goes last: what is left by a removal that is cut short is found again. */
export async function removeSandbox(sandbox: Sandbox): Promise<void> {
  await emptySandbox(sandbox)
  await rm(path.join(sandbox.directory, DRAFT), { force: true })
  await rm(path.join(sandbox.directory, MARKER), { force: true })
  await rm(sandbox.directory, { recursive: true, force: true, maxRetries: 5 })
}

async function readJson(file: string): Promise<unknown> {
  try {
    await using handle = await open(file, 'r')
    return JSON.parse(await readFile(handle, 'utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function absent(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined
  throw error
}
