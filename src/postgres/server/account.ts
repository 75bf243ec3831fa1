/**
 * Under which operating-system account a local server runs. PostgreSQL refuses to run as root, so root lends it another
 * account; an ordinary user runs it as itself. No account is ever created.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'

export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/** The overflow account of POSIX systems; PostgreSQL runs under it, though not under a uid without a name. */
const NOBODY: ServerAccount = { uid: 65534, gid: 65534 }

/**
 * The account that a server on `dataDir` must run as: undefined when this process is not root (then it is our own), else
 * the owner of the directory, else `postgres`, else `nobody`. A directory that belongs to root counts as not yet owned.
 */
export function serverAccount(dataDir?: string): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = dataDir === undefined ? undefined : ownerOf(dataDir)
  if (owner !== undefined && owner.uid !== 0) return owner
  const accounts = readAccounts()
  return accounts.get('postgres') ?? accounts.get('_postgres') ?? accounts.get('nobody') ?? NOBODY
}

function ownerOf(directory: string): ServerAccount | undefined {
  try {
    const { uid, gid } = statSync(directory)
    return { uid, gid }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function readAccounts(): Map<string, ServerAccount> {
  const accounts = new Map<string, ServerAccount>()
  let text: string
  try {
    text = readFileSync('/etc/passwd', 'utf8')
  } catch {
    // A machine without this file has no named account to find; NOBODY is the answer then.
    return accounts
  }
  for (const line of text.split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name && uid && gid) accounts.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  return accounts
}

/**
 * The first directory on the way to `target` that `account` may not enter, or `target` itself (a directory or a program) when it is
 * closed or missing; undefined when everything is open. Supplementary groups are not counted: a process that root starts under another uid has none.
 */
export async function firstUnreachable(
  target: string,
  account: ServerAccount | undefined,
): Promise<string | undefined> {
  const absolute = path.resolve(target)
  const steps: string[] = []
  for (let step = absolute; ; step = path.dirname(step)) {
    steps.unshift(step)
    if (step === path.dirname(step)) break
  }
  for (const step of steps) {
    if (!(await mayExecute(step, account))) return step
  }
  return undefined
}

/**
 * Refuses when a server under `account` could not get to `target`.
 * @throws RetakeError `postgres.server`
 */
export async function requireReachable(target: string, account: ServerAccount | undefined): Promise<void> {
  const closed = await firstUnreachable(target, account)
  if (closed === undefined) return
  if (!existsSync(closed)) {
    throw new RetakeError('postgres.server', `The server cannot run in ${target}: ${closed} does not exist.`)
  }
  throw new RetakeError(
    'postgres.server',
    `The server cannot run in ${target}: ${closed} is closed to the account that runs it (uid ${account?.uid ?? process.getuid?.()}).`,
    { hint: `Run: chmod o+x ${closed}; or choose a directory that the account can enter.` },
  )
}

/** For a directory: may enter. For a program: may run. */
async function mayExecute(file: string, account: ServerAccount | undefined): Promise<boolean> {
  if (account === undefined) {
    return access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
  }
  const info = await stat(file).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (info === undefined) return false
  const { mode, uid, gid } = info
  const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode
  return (bits & 1) === 1
}
