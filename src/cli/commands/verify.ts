import { type VerifyResult, verify } from '../../engine/verify.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, renderFields } from '../format.ts'
import { optionText } from '../options.ts'
import type { Terminal } from '../terminal.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { signal, terminal, options, args } = context
  await using retake = await context.open()
  const [backupId] = args
  const result = await verify(retake, {
    signal,
    onProgress: terminal.onProgress,
    deep: options.deep === true,
    backupId,
    copy: optionText(options.copy),
  }).result
  return {
    data: result,
    text: render(result, { terminal, copy: optionText(options.copy) }),
    problem: result.ok ? undefined : 'verify.damaged',
  }
}

function render(
  result: VerifyResult,
  view: { readonly terminal: Terminal; readonly copy: string | undefined },
): string {
  const { terminal, copy } = view
  const parts = [
    renderFields([
      ['repository', result.url],
      [
        'checked',
        `${result.backups} backups, ${result.packs} packs, ${result.segments} WAL segments of ${result.clusters} clusters`,
      ],
      ['read in full', `${formatBytes(result.bytesRead)}, ${result.pagesChecked} pages`],
    ]),
  ]
  if (result.findings.length > 0)
    parts.push(result.findings.map((finding) => renderFinding(finding, terminal)).join('\n'))
  for (const { cluster, lostBackups, lostMoments, mayBeMore } of result.damage) {
    const lines = [`Lost of "${cluster}":`]
    for (const backupId of lostBackups) lines.push(`  backup ${backupId}`)
    for (const { timeline, from, to } of lostMoments) {
      lines.push(
        `  moments from ${from.at ?? from.lsn} to ${to.at ?? to.lsn} on timeline ${timeline} (${from.lsn} to ${to.lsn})`,
      )
    }
    if (mayBeMore) lines.push('  and perhaps more: the records that say what is held are damaged too')
    parts.push(lines.join('\n'))
  }
  parts.push(verdict(result, copy))
  return parts.join('\n\n')
}

function renderFinding(
  { severity, object, problem, backups, files }: VerifyResult['findings'][number],
  terminal: Terminal,
): string {
  const color = { error: 'red', warning: 'yellow', notice: 'gray' } as const
  const lines = [`${terminal.paint(color[severity], severity.padEnd(7))}  ${object}: ${problem}`]
  if (backups.length > 0) lines.push(`         in backups: ${backups.join(', ')}`)
  if (files && files.length > 0) lines.push(`         files: ${files.join(', ')}`)
  return lines.join('\n')
}

function verdict(result: VerifyResult, copy: string | undefined): string {
  if (!result.ok && copy !== undefined)
    return `DAMAGED in this copy. Put back what another one has: retake repo heal --copy ${copy}${result.depth === 'deep' ? ' --deep' : ''}`
  if (!result.ok) return 'DAMAGED. Make a new backup now: retake backup'
  return result.depth === 'deep'
    ? 'Everything is as it was written.'
    : 'Every object is there and is what it says. To read every byte: retake verify --deep'
}
