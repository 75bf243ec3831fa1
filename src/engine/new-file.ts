import { access, constants, lstat, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'

/**
 * Writes a secret to a file that did not exist: readable by its owner alone, and durable when this resolves, because what it
 * holds may exist nowhere else.
 * @throws RetakeError `config.invalid` when the file exists or cannot be made
 */
export async function writeNewSecretFile(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } catch (error) {
      await unlink(file).catch(() => {})
      throw error
    } finally {
      await handle.close()
    }
    await syncDirectory(dirname(file))
  } catch (error) {
    throw notWritten(file, error)
  }
}

/**
 * What {@link writeNewSecretFile} would refuse, as far as that can be seen without writing.
 * @throws RetakeError `config.invalid`
 */
export async function assertNewFile(file: string): Promise<void> {
  try {
    await access(dirname(file), constants.W_OK)
  } catch (error) {
    throw notWritten(file, error)
  }
  const found = await lstat(file).catch(() => undefined)
  if (found) throw notWritten(file, Object.assign(new Error('it exists'), { code: 'EEXIST' }))
}

function notWritten(file: string, error: unknown): RetakeError {
  const exists = systemErrorCode(error) === 'EEXIST'
  return new RetakeError(
    'config.invalid',
    exists
      ? `${file} exists already and was not overwritten.`
      : `${file} could not be written (${systemErrorCode(error) ?? 'unknown error'}).`,
    {
      hint: exists
        ? 'Name a new file, or, if it is the key of this repository, use it: --key-file FILE.'
        : 'Name a file in a directory that you may write.',
      cause: error,
    },
  )
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
