import { userInfo } from 'node:os'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText, requireOption } from '../options.ts'
import { connectServer } from '../server-client.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { args, options, signal } = context
  const code = requireOption(args[0], { name: 'CODE', hint: 'It stands in the message that came.' })
  const client = await connectServer(context)
  const by = optionText(options.by) ?? userInfo().username
  const confirmed = await client.confirmCanary({ body: { code, by } }, { signal })
  return {
    data: confirmed,
    text: `Notices reach ${confirmed.confirmedBy} through ${confirmed.channel}: proven, as of ${confirmed.provenAt}.`,
  }
}
