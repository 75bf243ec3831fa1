/** What a command costs: wall time, processor time, memory; and what the server spends for it meanwhile. Reads /proc, so Linux only. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Of /proc/<pid>/stat; the kernel's unit on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const SAMPLE_MS = 50

export interface Cost {
  readonly wallMs: number
  /** User and system time of the command and everything it started. */
  readonly cpuMs: number
  /** The highest sum of resident memory over the command's processes, sampled. */
  readonly peakRssBytes: number
  /** What the processes of the server spent meanwhile. */
  readonly serverCpuMs: number
}

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  /** As root: under whose account it runs. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined
}

/** Runs a command to its end. @throws Error with its output when it fails */
export async function measure(command: Command, serverPid?: number): Promise<Cost> {
  const serverBefore = serverPid === undefined ? 0 : treeCpuTicks(serverPid)
  const begunMs = performance.now()
  const child = spawn(command.program, [...command.args], {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(command.account && process.getuid?.() === 0 ? command.account : {}),
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (said = (said + bytes).slice(-4_000)))
  const watch = watchTree(child.pid ?? 0)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', resolve)
  })
  const wallMs = performance.now() - begunMs
  const { cpuMs, peakRssBytes } = watch.stop()
  if (code !== 0) throw new Error(`${command.program} ${command.args.join(' ')} ended with ${code}:\n${said}`)
  const serverAfter = serverPid === undefined ? 0 : treeCpuTicks(serverPid)
  return { wallMs, cpuMs, peakRssBytes, serverCpuMs: ((serverAfter - serverBefore) * 1_000) / TICKS_PER_SECOND }
}

interface ProcessSample {
  readonly pid: number
  readonly parent: number
  /** Own time, and that of children that it has waited for. */
  readonly ticks: number
  readonly rssPages: number
}

/**
 * Follows a process and its descendants. A process that ends between two samples is counted through its parent, which waited for it;
 * the last sample of the root itself may miss up to 50 ms of its time, which is why walls and not processor times are compared closely.
 */
function watchTree(root: number): { stop(): { cpuMs: number; peakRssBytes: number } } {
  let ticks = 0
  let peakPages = 0
  const look = () => {
    const tree = readTree(root)
    ticks = Math.max(
      ticks,
      tree.reduce((sum, one) => sum + one.ticks, 0),
    )
    peakPages = Math.max(
      peakPages,
      tree.reduce((sum, one) => sum + one.rssPages, 0),
    )
  }
  const timer = setInterval(look, SAMPLE_MS)
  look()
  return {
    stop() {
      clearInterval(timer)
      look()
      return { cpuMs: (ticks * 1_000) / TICKS_PER_SECOND, peakRssBytes: peakPages * 4_096 }
    },
  }
}

export function treeCpuTicks(root: number): number {
  return readTree(root).reduce((sum, one) => sum + one.ticks, 0)
}

function readTree(root: number): ProcessSample[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)))
  const inside = new Set([root])
  // Parents come before children in most cases; the loop ends when a round finds nobody new.
  for (let before = 0; before !== inside.size; ) {
    before = inside.size
    for (const { pid, parent } of all) if (inside.has(parent)) inside.add(pid)
  }
  return all.filter(({ pid }) => inside.has(pid))
}

function readProcess(pid: number): ProcessSample[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name is in brackets and may hold anything; the fields begin after the last bracket (state is field 3).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (number: number) => Number(fields[number - 3])
    return [{ pid, parent: field(4), ticks: field(14) + field(15) + field(16) + field(17), rssPages: field(24) }]
  } catch {
    return []
  }
}
