import { holdBackup } from '../../engine/retention.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { optionText, requireOption } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const dryRun = context.options.dryRun === true
  const hold = await holdBackup(retake, {
    backupId: context.args[0] ?? '',
    reason: requireOption(context.options.reason, {
      name: '--reason',
      hint: 'Say who needs it: --reason "audit 2026".',
    }),
    until: optionText(context.options.until),
    dryRun,
  })
  const until = hold.until === undefined ? 'until it is released' : `until ${hold.until}`
  return {
    data: { cluster: retake.clusterName, hold, ...(dryRun ? { dryRun } : {}) },
    text: dryRun
      ? `${hold.backupId} would be held ${until}: ${hold.reason}. Nothing was changed.`
      : `${hold.backupId} is held ${until}: ${hold.reason}`,
  }
}
