import type { CommandContext, CommandOutcome } from '../command.ts'
import { renderCompletion, type Shell } from '../completion.ts'

export async function run({ args }: CommandContext): Promise<CommandOutcome> {
  // The command line accepts only the shells of the table.
  const shell = args[0] as Shell
  const script = renderCompletion(shell)
  return { data: { shell, script }, text: script }
}
