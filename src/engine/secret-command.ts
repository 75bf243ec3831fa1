/** A secret from a command of the user's, such as a call of a secret manager. What it prints is never part of a message. */
import { spawn } from 'node:child_process'
import type { ErrorCode } from '../base/error-codes.ts'
import { abortedError, RetakeError, systemErrorCode } from '../base/errors.ts'

/** A secret manager that asks on a terminal of its own needs a while; one that hangs must not hang a backup for ever. */
const COMMAND_LIMIT_MS = 30_000
/** What is longer is no key, and no token either. */
export const MAX_SECRET_BYTES = 64 * 1024

export interface SecretCommandOptions {
  /** In messages: `key`, `management token`. */
  readonly what: string
  /** Where the command stands, for the hint: `RETAKE_KEY_COMMAND (or keyCommand)`. */
  readonly variable: string
  /** The code of a command that gives no secret. */
  readonly failure: ErrorCode
  /** Default 30 s. */
  readonly limitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * What the command prints, as it prints it. What it says on stderr goes to the terminal, and into no message.
 * @throws RetakeError `timeout`, `aborted`, and the code of `failure`
 */
export function runSecretCommand(command: string, options: SecretCommandOptions): Promise<string> {
  const { promise, resolve: succeed, reject: fail } = Promise.withResolvers<string>()
  const { signal, limitMs = COMMAND_LIMIT_MS } = options
  // Its own process group: at the time limit the shell's children end too.
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const end = (error: RetakeError) => {
    fail(error)
    killGroup(child.pid)
  }
  const timer = setTimeout(() => end(timedOut(options, limitMs)), limitMs)
  const onAbort = () => end(abortedError(signal?.reason))
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  child.stdout.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_SECRET_BYTES) end(gaveNone(options, `it printed more than a ${options.what}`))
    else chunks.push(chunk)
  })
  child.once('error', (error) =>
    end(gaveNone(options, `it could not be started (${systemErrorCode(error) ?? 'unknown error'})`)),
  )
  child.once('close', (code, endedBy) => {
    if (code === 0) succeed(Buffer.concat(chunks).toString('utf8'))
    else fail(gaveNone(options, endedBy ? `it was ended by ${endedBy}` : `its exit status was ${code}`))
  })
  return promise.finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  })
}

function gaveNone({ what, variable, failure }: SecretCommandOptions, why: string): RetakeError {
  return new RetakeError(failure, `The ${what} command gave no ${what}: ${why}.`, {
    hint: `Run the command of ${variable} by hand; it must print the ${what} and nothing else.`,
  })
}

function timedOut({ what, variable }: SecretCommandOptions, limitMs: number): RetakeError {
  return new RetakeError('timeout', `The ${what} command did not end within ${limitMs / 1000} seconds.`, {
    hint: `Run the command of ${variable} by hand; it must not ask anything.`,
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}
