/** The token that whoever asks the API must send: from the environment, or one that is made once and kept in a file of the server. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'

export const tokenFile = (directory: string) => join(directory, 'token')

/** @throws RetakeError `config.invalid` when the file cannot be read or made */
export async function serverToken({
  directory,
  env,
}: {
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
}): Promise<string> {
  if (env.RETAKE_TOKEN) return env.RETAKE_TOKEN
  const file = tokenFile(directory)
  try {
    return await readToken(file)
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw unreadable(file, error)
  }
  try {
    await mkdir(directory, { recursive: true })
    await using handle = await open(file, 'wx', 0o600)
    const token = randomBytes(32).toString('hex')
    await handle.writeFile(`${token}\n`)
    await handle.sync()
    return token
  } catch (error) {
    // Another server of this directory was quicker.
    if (systemErrorCode(error) === 'EEXIST') return readToken(file)
    throw unreadable(file, error)
  }
}

async function readToken(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim()
}

function unreadable(file: string, cause: unknown): RetakeError {
  return new RetakeError(
    'config.invalid',
    `The token in ${file} cannot be used (${systemErrorCode(cause) ?? cause}).`,
    {
      hint: 'Make the file readable and writable for this user alone, or set RETAKE_TOKEN.',
      cause,
    },
  )
}
