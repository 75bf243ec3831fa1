/**
 * Where the key comes from: `RETAKE_KEY_FILE` (or `--key-file`), `RETAKE_KEY`, `RETAKE_KEY_COMMAND`, `RETAKE_KMS_KEY`,
 * `RETAKE_PASSPHRASE`, and at last a question on the terminal. The first that is set is used; a flag is above them all.
 */
import { open } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { isRetakeError, RetakeError, systemErrorCode } from '../base/errors.ts'
import type { Logger } from '../base/progress.ts'
import type { KeyMaterial } from '../repository/keys/key-material.ts'
import { parseKeyText } from '../repository/keys/key-text.ts'
import type { Config } from './config-options.ts'
import { openAwsKms } from './keys/aws-kms.ts'
import { MAX_SECRET_BYTES, runSecretCommand } from './secret-command.ts'

/** A key is 100 bytes, a recovery kit 3 KiB. What is longer is the wrong file. */
const MAX_KEY_BYTES = MAX_SECRET_BYTES

const KEY_COMMAND = {
  what: 'key',
  variable: 'RETAKE_KEY_COMMAND (or keyCommand)',
  failure: 'key.missing',
} as const

export interface KeySourceOptions {
  readonly config: Pick<Config, 'keyFile' | 'key' | 'keyCommand' | 'kmsKey' | 'passphrase'>
  /** The directory that a relative `keyFile` refers to. */
  readonly directory: string
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
  /** Asks a person for a passphrase; absent where nobody can be asked. */
  readonly askPassphrase?: (() => Promise<string>) | undefined
  /** Time limit of the key command. Default 30 s. */
  readonly commandLimitMs?: number | undefined
}

/**
 * @throws RetakeError `key.missing` with what to set; `key.malformed`; `config.invalid` for a file that cannot be read;
 * `timeout` and `key.missing` for a command that hangs or fails
 */
export async function loadKey(options: KeySourceOptions): Promise<KeyMaterial> {
  const { config } = options
  if (config.keyFile !== undefined) return readKeyFile(config.keyFile, options)
  if (config.key !== undefined) return parseKeyText(config.key)
  if (config.keyCommand !== undefined) {
    const { commandLimitMs: limitMs, signal } = options
    return parseKeyText(await runSecretCommand(config.keyCommand, { ...KEY_COMMAND, limitMs, signal }))
  }
  if (config.kmsKey !== undefined) return { kind: 'kms', service: openAwsKms(config.kmsKey, options) }
  if (config.passphrase !== undefined) return { kind: 'passphrase', text: config.passphrase }
  if (options.askPassphrase) {
    const text = await options.askPassphrase()
    if (text !== '') return { kind: 'passphrase', text }
  }
  throw new RetakeError('key.missing', 'No key was given, so the repository cannot be opened.', {
    hint: 'Set RETAKE_KEY_FILE to the file that `retake init --new-key FILE` made (or to a recovery kit), or set RETAKE_KEY, RETAKE_KEY_COMMAND, RETAKE_KMS_KEY or RETAKE_PASSPHRASE.',
  })
}

async function readKeyFile(name: string, options: KeySourceOptions): Promise<KeyMaterial> {
  const file = isAbsolute(name) ? name : resolve(options.directory, name)
  let text: string
  try {
    await using handle = await open(file, 'r')
    const info = await handle.stat()
    if (info.size > MAX_KEY_BYTES) throw malformedFile(file)
    // A pipe (`<(…)`) or a mounted secret may be readable by a group on purpose, so this is said, and the key is used.
    if (info.isFile() && (info.mode & 0o077) !== 0) {
      options.logger.warn(`The key file ${file} can be read by other users of this machine. Run: chmod 600 ${file}`)
    }
    text = await handle.readFile('utf8')
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === undefined || isRetakeError(error)) throw error
    throw new RetakeError(
      code === 'ENOENT' ? 'key.missing' : 'config.invalid',
      code === 'ENOENT' ? `There is no key file ${file}.` : `The key file ${file} could not be read (${code}).`,
      {
        hint: 'Correct RETAKE_KEY_FILE or --key-file. A new repository gets its key from: retake init --new-key FILE',
        cause: error,
      },
    )
  }
  return parseKeyText(text)
}

function malformedFile(file: string): RetakeError {
  return new RetakeError('key.malformed', `${file} is too long to be a key file.`, {
    hint: 'Point RETAKE_KEY_FILE at the file that `retake init --new-key FILE` made, or at a recovery kit.',
  })
}
