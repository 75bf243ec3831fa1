import { userInfo } from 'node:os'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText, requireOption } from '../options.ts'
import { connectServer } from '../server-client.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { args, options, signal } = context
  const alert = requireOption(args[0], { name: 'KEY', hint: 'retake alerts list shows the key of each.' })
  const client = await connectServer(context)
  const by = optionText(options.by) ?? userInfo().username
  const changed = await client.acknowledgeAlert({ alert, body: { by, note: optionText(options.note) } }, { signal })
  return {
    data: changed,
    text: `${changed.title}: acknowledged by ${by} until ${changed.acknowledgedUntil}. Escalation waits; it fires again then if it is still there.`,
  }
}
