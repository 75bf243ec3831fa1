import { releaseBackup } from '../../engine/retention.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const backupId = context.args[0] ?? ''
  await using retake = await context.open()
  const dryRun = context.options.dryRun === true
  const released = await releaseBackup(retake, backupId, { dryRun })
  const lines =
    released.length === 0
      ? [`${backupId} ${dryRun ? 'is' : 'was'} not held.`]
      : [
          `${backupId} ${dryRun ? 'would no longer be' : 'is no longer'} held:`,
          ...released.map(({ reason, at }) => `  ${reason} (since ${at})`),
        ]
  return {
    data: { cluster: retake.clusterName, backupId, released, ...(dryRun ? { dryRun } : {}) },
    text: [...lines, ...(dryRun ? ['Nothing was changed.'] : [])].join('\n'),
  }
}
