/** The channels that a command is about: the one that was named, else all. */
import { RetakeError } from '../base/errors.ts'
import type { Client } from '../client.ts'
import type { CommandContext } from './command.ts'

/** @throws RetakeError `config.invalid` when the server has none */
export async function wantedChannels({ args, signal }: CommandContext, client: Client): Promise<string[]> {
  const [named] = args
  if (named !== undefined) return [named]
  const { items } = await client.listChannels({}, { signal })
  if (items.length > 0) return items.map(({ name }) => name)
  throw new RetakeError('config.invalid', 'The server has no channel, so nobody is told of an alert.', {
    hint: 'Add one to the file of the server, and start it anew: docs/channels.md shows each kind.',
  })
}
