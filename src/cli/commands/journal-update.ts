import { type JournalReport, updateJournal } from '../../engine/journal/update.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes } from '../format.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options } = context
  await using retake = await context.open()
  const rebuild = options.rebuild === true
  const report = await updateJournal(retake, { signal, rebuild, onProgress: terminal.onProgress }).result
  return { data: report, text: render(report), problem: report.unreadable.length > 0 ? 'wal.damaged' : undefined }
}

function render({ stored, walBytes, removed, unreadable }: JournalReport): string {
  const lines: string[] = []
  if (stored > 0) lines.push(`Stored what happened in ${formatBytes(walBytes)} of WAL.`)
  if (removed > 0) lines.push(`Removed ${removed} ${removed === 1 ? 'part' : 'parts'} whose WAL is not held any more.`)
  for (const reason of unreadable) lines.push(`Not told: ${reason}`)
  return lines.length > 0
    ? lines.join('\n')
    : 'Everything was told already that lies in whole stretches of sixteen segments.'
}
