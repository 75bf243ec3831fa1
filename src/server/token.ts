/** The token that whoever asks the API must send: from the environment, or one that is made once and kept in a file of the server. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isRetakeError, RetakeError, systemErrorCode } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import { writeNewSecretFile } from '../engine/new-file.ts'

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
    return await makeToken(file)
  } catch (error) {
    if (isRetakeError(error)) throw error
    throw unreadable(file, error)
  }
}

/** The file has its name only when it is whole: of servers that begin at once on one directory, all use what the quickest has made. */
async function makeToken(file: string): Promise<string> {
  const draft = `${file}.${randomId(8)}`
  const token = randomBytes(32).toString('hex')
  try {
    await writeNewSecretFile(draft, `${token}\n`)
    await link(draft, file)
    return token
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return await readToken(file)
    throw error
  } finally {
    await unlink(draft).catch(() => {})
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
