import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * Names one process so that another can tell later whether it still lives. A process id alone is not enough: it is reused
 * after a reboot, after the process has ended, and in another container.
 */
export interface ProcessIdentity {
  /** The host's name, for people. */
  readonly host: string
  readonly pid: number
  /** Eight digits that stand for this host and its process table (machine id, host name, pid namespace). */
  readonly realm: string
  /** Eight digits that change with every boot; `00000000` where the system does not tell. */
  readonly boot: string
  /** When the process began, in the system's own ticks since boot; empty where the system does not tell. */
  readonly started: string
}

/** The identity of this process. */
export function currentProcess(): ProcessIdentity {
  const host = hostname()
  const machine = readText('/etc/machine-id') ?? ''
  const bootId = readText('/proc/sys/kernel/random/boot_id')
  return {
    host,
    pid: process.pid,
    realm: digits(`${host}\n${machine}\n${pidNamespace()}`),
    boot: bootId === undefined ? '00000000' : digits(bootId),
    started: startTicks(process.pid) ?? '',
  }
}

/**
 * Whether the process has certainly ended. False when it lives, and also when that cannot be known from here
 * (another host, another container): the caller then has to wait for a time limit.
 */
export function hasCertainlyEnded(identity: ProcessIdentity, observer: ProcessIdentity = currentProcess()): boolean {
  if (identity.realm !== observer.realm || identity.boot !== observer.boot) return false
  const started = startTicks(identity.pid)
  if (started !== undefined && identity.started !== '') return started !== identity.started
  return !exists(identity.pid)
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

/** Field 22 of /proc/<pid>/stat, counted after the command's name, which may itself hold spaces and parentheses. */
function startTicks(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

function digits(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
