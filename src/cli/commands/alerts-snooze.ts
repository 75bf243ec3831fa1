import { userInfo } from 'node:os'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionInteger, optionText, requireOption } from '../options.ts'
import { connectServer } from '../server-client.ts'

const DEFAULT_MINUTES = 60

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { args, options, signal } = context
  const alert = requireOption(args[0], { name: 'KEY', hint: 'retake alerts list shows the key of each.' })
  const minutes = optionInteger(options.minutes, { name: '--minutes', min: 1, max: 10_080 }) ?? DEFAULT_MINUTES
  const client = await connectServer(context)
  const by = optionText(options.by) ?? userInfo().username
  const changed = await client.snoozeAlert({ alert, body: { minutes, by, note: optionText(options.note) } }, { signal })
  return {
    data: changed,
    text: `${changed.title}: nobody is told until ${changed.snoozedUntil}. It is recorded all the same.`,
  }
}
