import { switchPrimary } from '../../engine/mirrors/keep-copies.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options, args } = context
  await using retake = await context.open()
  const [name = ''] = args
  const dryRun = options.dryRun === true
  const report = await switchPrimary(retake, name, {
    signal,
    onProgress: terminal.onProgress,
    evenIfBehind: options.evenIfBehind === true,
    dryRun,
  }).result
  const text = report.changed
    ? `"${name}" is the primary copy now; it was "${report.before}".`
    : dryRun && report.before !== name
      ? `"${name}" would become the primary copy; it is "${report.before}" now.`
      : `"${name}" is the primary copy already.`
  return { data: { ...report, dryRun }, text }
}
