import { releaseBackup } from '../../engine/retention.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const backupId = context.args[0] ?? ''
  await using retake = await context.open()
  const released = await releaseBackup(retake, backupId)
  const text =
    released.length === 0
      ? `${backupId} was not held.`
      : [`${backupId} is no longer held:`, ...released.map(({ reason, at }) => `  ${reason} (since ${at})`)].join('\n')
  return { data: { cluster: retake.clusterName, backupId, released }, text }
}
