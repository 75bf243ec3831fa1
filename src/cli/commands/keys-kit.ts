import { addRecoveryKit } from '../../engine/initialise.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const file = await addRecoveryKit(retake.repository, {
    file: context.args[0] ?? '',
    settings: retake,
    label: optionText(context.options.label),
  })
  return {
    data: { repository: retake.repository.url, file },
    text: `${file} holds a new key and how to restore with it. Print it, lock it away, and delete the file.`,
  }
}
