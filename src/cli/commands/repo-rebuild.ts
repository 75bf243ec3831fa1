import { type RebuildReport, rebuildRepository } from '../../engine/repo/rebuild.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const dryRun = options.dryRun === true
  const report = await rebuildRepository(retake, { signal, dryRun, onProgress: terminal.onProgress }).result
  return { data: report, text: render(report), problem: report.beyondRepair.length > 0 ? 'verify.damaged' : undefined }
}

function render({ items, beyondRepair, dryRun }: RebuildReport): string {
  const parts: string[] = []
  if (items.length > 0) {
    const lines = items.map(({ object, what, why, loses }) => {
      const line = `  ${object} (${what}): ${why}`
      return loses === undefined ? line : `${line}\n    not known any more: ${loses}`
    })
    parts.push([dryRun ? 'Would be written again:' : 'Written again:', ...lines].join('\n'))
  }
  if (beyondRepair.length > 0) {
    const lines = beyondRepair.map(({ object, problem, backups }) =>
      [`  ${object}: ${problem}`, ...(backups.length > 0 ? [`    in backups: ${backups.join(', ')}`] : [])].join('\n'),
    )
    parts.push(
      ['Cannot be told from what is left; put it back from a copy, or make a new backup:', ...lines].join('\n'),
    )
  }
  if (parts.length === 0) return 'Nothing is missing that could be rebuilt.'
  if (dryRun && items.length > 0) parts.push('Nothing was changed. To write it: retake repo rebuild')
  return parts.join('\n\n')
}
