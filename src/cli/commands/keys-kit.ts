import { addRecoveryKit } from '../../engine/initialise.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const dryRun = context.options.dryRun === true
  const file = await addRecoveryKit(retake.repository, {
    file: context.args[0] ?? '',
    settings: retake,
    label: optionText(context.options.label),
    dryRun,
  })
  return {
    data: { repository: retake.repository.url, file, ...(dryRun ? { dryRun } : {}) },
    text: dryRun
      ? `Would let another key open the repository, and write it with how to restore to ${file}. Nothing was changed.`
      : `${file} holds a new key and how to restore with it. Print it, lock it away, and delete the file.`,
  }
}
