/** The command line as a process: what it prints and its exit status; killed with the test when it hangs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'

const PROGRAM = resolve(import.meta.dirname, '../../bin/retake.js')

export interface CliResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliRun {
  readonly child: ChildProcess
  readonly ended: Promise<CliResult>
  /** SIGKILL of the process alone; what it started is left behind, as after a crash. */
  kill(): void
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly cwd?: string | undefined
}

/** Starts `retake …args`; nothing of the caller's own configuration reaches it. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliRun {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PG|RETAKE_(?!TEST_))/.test(name))
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes))
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject)
    // Not `close`: a server that the command has started keeps the pipes open.
    child.on('exit', (code, signal) => setImmediate(() => resolve({ code, signal, stdout, stderr })))
  })
  return { child, ended, kill: () => void child.kill('SIGKILL') }
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).ended
}
