import { spawn } from 'node:child_process'
import { abortedError, isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ServerAccount } from './account.ts'

export interface ProgramResult {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunProgramOptions {
  readonly account?: ServerAccount | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
  /** Default `/`: the caller's directory may be closed to the account. */
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Default 60,000; then the program is killed. */
  readonly timeoutMs?: number | undefined
}

/**
 * Runs a program to its end and returns what it said. A non-zero status is a return value.
 * @throws RetakeError `dependency.missing` when it cannot be started, `timeout`, `aborted`
 */
export function runProgram(
  file: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  const { account, signal, timeoutMs = 60_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...(account && { uid: account.uid, gid: account.gid }),
      ...(options.env && { env: options.env }),
      ...(signal && { signal }),
      cwd: options.cwd ?? '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      killSignal: 'SIGKILL',
    })
    // Our own timer: the one of spawn goes on, and holds the process, when the program could not be started.
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, timeoutMs)
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
    child.once('error', (cause) => {
      clearTimeout(timer)
      if (signal?.aborted) reject(isRetakeError(signal.reason) ? signal.reason : abortedError(cause))
      else reject(new RetakeError('dependency.missing', `${file} cannot be started: ${cause.message}.`, { cause }))
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      if (late) {
        reject(new RetakeError('timeout', `${file} did not end within ${timeoutMs / 1000} s and was stopped.`))
      } else {
        resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
      }
    })
  })
}
