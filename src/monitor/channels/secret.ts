/** Where a channel's secret comes from: never from the configuration itself, so that the file can be shown and kept anywhere. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { attempt } from '../../base/attempt.ts'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'

export type SecretSource =
  /** The name of an environment variable. */
  | { readonly env: string }
  /** A file that holds nothing else; its last line break is not part of it. */
  | { readonly file: string }
  /** A command line for the shell that prints it, such as `pass show slack`. */
  | { readonly command: string }

export interface ReadSecretOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What it is, for messages: `the token of the channel "team"`. */
  readonly what: string
  readonly signal?: AbortSignal | undefined
  /** Default: 30 s, for a command that asks a service. */
  readonly limitMs?: number | undefined
}

const LIMIT_MS = 30_000
const MAXIMUM_BYTES = 16 * 1024

/**
 * Reads it; what surrounds it (spaces, line breaks) is left away.
 * @throws RetakeError `config.invalid`, `timeout`, `aborted`
 */
export async function readSecret(source: SecretSource, options: ReadSecretOptions): Promise<string> {
  const text = (await readSource(source, options)).trim()
  if (text === '') throw unreadable(options.what, 'it is empty', source)
  // A line break would end a header; none of these secrets has one.
  if (/\p{Cc}/u.test(text)) throw unreadable(options.what, 'it has more than one line', source)
  return text
}

async function readSource(source: SecretSource, options: ReadSecretOptions): Promise<string> {
  if ('env' in source) return options.env[source.env] ?? ''
  const outcome = await attempt(
    (signal) => ('file' in source ? readWhole(source.file, signal) : runCommand(source.command, signal)),
    {
      limitMs: options.limitMs ?? LIMIT_MS,
      what: `reading ${options.what}`,
      hint: 'Run the command by hand; it must print the secret, end, and ask nothing.',
      signal: options.signal,
    },
  )
  if ('value' in outcome) return outcome.value
  if (outcome.error.code === 'timeout') throw outcome.error
  throw unreadable(options.what, outcome.error.message, source)
}

async function readWhole(path: string, signal: AbortSignal): Promise<string> {
  try {
    const text = await readFile(path, { encoding: 'utf8', signal })
    return text.slice(0, MAXIMUM_BYTES)
  } catch (error) {
    throw new RetakeError('config.invalid', `the file cannot be read (${systemErrorCode(error) ?? 'unknown reason'})`)
  }
}

/** What it prints is the secret, and never part of a message; what it says on stderr neither. */
function runCommand(command: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // Its own process group: at the time limit the shell's children end too.
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  const endGroup = () => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if (systemErrorCode(error) !== 'ESRCH') throw error
    }
  }
  const chunks: Buffer[] = []
  let sizeBytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > MAXIMUM_BYTES) endGroup()
    else chunks.push(chunk)
  })
  signal.addEventListener('abort', endGroup, { once: true })
  if (signal.aborted) endGroup()
  child.once('error', (error) =>
    reject(failed(`the command could not be started (${systemErrorCode(error) ?? 'unknown reason'})`)),
  )
  child.once('close', (code) => {
    signal.removeEventListener('abort', endGroup)
    if (sizeBytes > MAXIMUM_BYTES) reject(failed('the command printed more than a secret'))
    else if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'))
    else
      reject(failed(code === null ? 'the command was ended by a signal' : `the exit status of the command was ${code}`))
  })
  return promise
}

function failed(why: string): RetakeError {
  return new RetakeError('config.invalid', why)
}

function unreadable(what: string, why: string, source: SecretSource): RetakeError {
  const place =
    'env' in source
      ? `Set the environment variable ${source.env} for the process that sends the notices.`
      : 'file' in source
        ? `Put it into ${source.file}, readable by the account that sends the notices.`
        : 'Run the command by hand; it must print the secret and nothing else.'
  return new RetakeError('config.invalid', `There is no use of ${what}: ${why}.`, { hint: place })
}
