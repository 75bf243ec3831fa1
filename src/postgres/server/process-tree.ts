/**
 * Ends a server as a crash of the machine would: postmaster and children at once, none of them able to finish anything.
 *
 * Each backend makes itself the leader of a group of its own, so no group signal reaches all of them. Everything is stopped
 * first, from the postmaster down: what is stopped forks nothing and reaps nothing, so the list of descendants is complete and no
 * pid in it can be given to another process before the signals are sent.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, unlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import { sleep } from '../../base/abort.ts'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'

export interface ProcessEntry {
  readonly pid: number
  readonly parentPid: number
  /** One letter; Z is a dead process that nobody has asked about yet. */
  readonly state: string
}

const GONE_WITHIN_MS = 10_000
const FREEZE_WITHIN_MS = 2_000
/** Stopped by a signal or by a tracer. */
const STOPPED_STATES: ReadonlySet<string> = new Set(['T', 't'])

/** All processes of the machine: from /proc, or from `ps` where there is none. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,state='])
    return stdout.split('\n').flatMap((line) => {
      const [pid, parentPid, state] = line.trim().split(/\s+/)
      return pid && parentPid && state
        ? [{ pid: Number(pid), parentPid: Number(parentPid), state: state.charAt(0) }]
        : []
    })
  }
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const entries = await Promise.all(names.map(readProcess))
  return entries.filter((entry) => entry !== undefined)
}

async function readProcess(pid: string): Promise<ProcessEntry | undefined> {
  const text = await readOrUndefined(`/proc/${pid}/stat`)
  // The name in parentheses may hold anything, so the fields are counted from its last closing parenthesis.
  const [state, parentPid] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? []
  return state && parentPid ? { pid: Number(pid), parentPid: Number(parentPid), state } : undefined
}

/**
 * SIGKILLs the postmaster and everything below it, waits until all are gone, and frees the shared memory that only they used
 * (on Linux; elsewhere the next start of the data directory does).
 */
export async function killServerProcesses(postmasterPid: number): Promise<void> {
  const family = await freezeFamily(postmasterPid)
  const memory = await Promise.all(family.map(readSharedMemory))
  for (const pid of family) send(pid, 'SIGKILL')
  await waitUntilGone(family)
  await freeSharedMemory(memory.flat())
}

/** Stops a process and all its descendants, and returns them. */
async function freezeFamily(root: number): Promise<number[]> {
  const deadline = performance.now() + FREEZE_WITHIN_MS
  const told = new Set<number>()
  for (;;) {
    const family = descendants(await listProcesses(), root)
    const running = family.filter((entry) => !STOPPED_STATES.has(entry.state))
    // A process that waits for a disk stops only afterwards; it does not fork meanwhile, so it is no reason to wait for ever.
    if (running.length === 0 || performance.now() > deadline) return family.map((entry) => entry.pid)
    for (const { pid } of running) if (!told.has(pid)) send(pid, 'SIGSTOP')
    for (const { pid } of running) told.add(pid)
    await sleep(1)
  }
}

/** The process itself and everything below it, without the dead. */
function descendants(processes: readonly ProcessEntry[], root: number): ProcessEntry[] {
  const alive = processes.filter((entry) => entry.state !== 'Z')
  const found = alive.filter((entry) => entry.pid === root)
  for (const parent of found) found.push(...alive.filter((entry) => entry.parentPid === parent.pid))
  return found
}

/** A process that is gone has what it was to get. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}

async function waitUntilGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    const alive = new Set((await listProcesses()).filter((entry) => entry.state !== 'Z').map((entry) => entry.pid))
    if (!pids.some((pid) => alive.has(pid))) return
    if (performance.now() > deadline) {
      throw new RetakeError('postgres.server', `Processes of a killed server are still there: ${pids.join(', ')}.`)
    }
    await sleep(5)
  }
}

type SharedMemory = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'segment'; readonly id: string }

/** What a process has mapped: `/dev/shm/PostgreSQL.…` files, and System V segments, whose inode is their id. */
async function readSharedMemory(pid: number): Promise<SharedMemory[]> {
  const maps = process.platform === 'linux' ? await readOrUndefined(`/proc/${pid}/maps`) : undefined
  return [...(maps ?? '').matchAll(/^\S+ \S+ \S+ \S+ (\d+)\s+(\/dev\/shm\/PostgreSQL\.\d+|\/SYSV[0-9a-f]+)/gm)].map(
    ([, inode = '', name = '']) =>
      name.startsWith('/SYSV') ? { kind: 'segment', id: inode } : { kind: 'file', path: name },
  )
}

/** Best effort: what stays behind is small, and a start of the same data directory clears it as well. */
async function freeSharedMemory(memory: readonly SharedMemory[]): Promise<void> {
  const files = new Set(memory.flatMap((item) => (item.kind === 'file' ? [item.path] : [])))
  const segments = new Set(memory.flatMap((item) => (item.kind === 'segment' ? [item.id] : [])))
  for (const file of files) await unlink(file).catch(() => undefined)
  for (const id of segments) await promisify(execFile)('ipcrm', ['-m', id]).catch(() => undefined)
}

/** A process may end between two looks at it. */
async function readOrUndefined(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined
    throw error
  }
}
