/**
 * For commands that can ask a server of Retake, and can look for themselves. A server that was named is asked, or the command fails. Whoever
 * only has its token at hand asks the one on this machine, if it is there and looks after this cluster. Who names a repository, a key or
 * a configuration on the command line means that one: what a server looks after may be another of the same name.
 */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { Client } from '../client.ts'
import { DEFAULT_CLUSTER } from '../engine/config-options.ts'
import type { CommandContext } from './command.ts'
import { retakeOptions } from './open.ts'
import { optionText } from './options.ts'
import { connectServer, isServerNamed, isTokenKnown, serverUrl } from './server-client.ts'

/** Where an answer comes from, for people and programs. */
export type Source = { readonly by: 'server'; readonly url: string } | { readonly by: 'library' }

export interface Answered<T> {
  readonly value: T
  readonly source: Source
}

interface Ways<T> {
  readonly ask: (client: Client, cluster: string) => Promise<T>
  readonly look: () => Promise<T>
}

/** @throws RetakeError `config.invalid`, what the server answers, and what looking throws */
export async function askOrLook<T>(context: CommandContext, { ask, look }: Ways<T>): Promise<Answered<T>> {
  const { options, global, terminal } = context
  const own = async (): Promise<Answered<T>> => ({ value: await look(), source: { by: 'library' } })
  const named = isServerNamed(context)
  if (options.local === true) {
    if (optionText(options.server) !== undefined) {
      throw new RetakeError('config.invalid', '--local asks no server, and --server names one.', {
        hint: 'Leave one of them out.',
      })
    }
    return own()
  }
  const isElsewhere = [global.repo, global.config, global.keyFile].some((value) => value !== undefined)
  if (!named && (isElsewhere || !isTokenKnown(context))) return own()
  const { cluster = DEFAULT_CLUSTER } = await retakeOptions(context)
  const url = serverUrl(context)
  try {
    const value = await ask(await connectServer(context), cluster)
    return { value, source: { by: 'server', url: withoutSecrets(url) } }
  } catch (error) {
    if (named || !NOT_THERE.some((code) => isRetakeError(error, code))) throw error
    terminal.logger.info(`The server at ${withoutSecrets(url)} was not asked: ${String(error)}`)
    return own()
  }
}

/** Nobody listens, or nobody who looks after this cluster. */
const NOT_THERE = ['api.unreachable', 'cluster.missing'] as const

/** The last line of what people read. */
export function sourceInWords(source: Source): string {
  return source.by === 'server'
    ? `Told by the server at ${source.url}.`
    : 'Looked up from here, without asking a server.'
}

function withoutSecrets(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url
}
