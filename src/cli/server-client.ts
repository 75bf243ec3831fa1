/** The server that a command asks: its address and its token. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RetakeError } from '../base/errors.ts'
import { type Client, createClient } from '../client.ts'
import type { CommandContext } from './command.ts'
import { optionText } from './options.ts'

const DEFAULT_SERVER = 'http://127.0.0.1:7420'

/** @throws RetakeError `config.invalid` */
export async function connectServer(context: CommandContext): Promise<Client> {
  return createClient({ url: serverUrl(context), token: await tokenOf(context) })
}

type Given = Pick<CommandContext, 'options' | 'env'>

export function serverUrl({ options, env }: Given): string {
  return optionText(options.server) ?? (env.RETAKE_SERVER || DEFAULT_SERVER)
}

export function isServerNamed({ options, env }: Given): boolean {
  return optionText(options.server) !== undefined || Boolean(env.RETAKE_SERVER)
}

export function isTokenKnown({ options, env }: Given): boolean {
  return optionText(options.serverTokenFile) !== undefined || Boolean(env.RETAKE_TOKEN || env.RETAKE_TOKEN_FILE)
}

async function tokenOf({
  options,
  env,
  directory,
}: Pick<CommandContext, 'options' | 'env' | 'directory'>): Promise<string> {
  const file =
    optionText(options.serverTokenFile) ?? (env.RETAKE_TOKEN ? undefined : env.RETAKE_TOKEN_FILE || undefined)
  if (file === undefined && env.RETAKE_TOKEN) return env.RETAKE_TOKEN
  if (file === undefined) {
    throw new RetakeError('config.invalid', 'The token of the server is not known.', {
      hint: 'Give --server-token-file with the file "token" in the directory of the server, or set RETAKE_TOKEN.',
    })
  }
  try {
    return (await readFile(resolve(directory, file), 'utf8')).trim()
  } catch (cause) {
    throw new RetakeError('config.invalid', `The token cannot be read from ${file}.`, {
      hint: 'Name the file "token" in the directory of the server, readable for this user.',
      cause,
    })
  }
}
