import { RetakeError } from '../../base/errors.ts'
import { type CopyView, type MirrorsReport, readMirrors } from '../../engine/mirrors/copies.ts'
import { forgetMirror } from '../../engine/mirrors/keep-copies.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, formatDuration, renderTable } from '../format.ts'
import { optionText } from '../options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  await using retake = await context.open()
  const forget = optionText(context.options.forget)
  if (forget !== undefined) {
    const { changed } = await forgetMirror(retake, forget)
    const text = changed
      ? `The copy "${forget}" was given up. What is stored there was left as it is.`
      : `There is no copy "${forget}" that belongs to the repository.`
    return { data: { forgotten: forget, changed }, text }
  }
  const report = await readMirrors(retake, { measure: 'all' })
  if (report === undefined) {
    throw new RetakeError('config.invalid', 'No mirrors are configured: the repository is in one place only.', {
      hint: 'Add `mirrors` to the configuration, or RETAKE_MIRRORS="NAME=URL", then run `retake repo sync --set-up`.',
    })
  }
  const isWhole = report.unknown.length === 0 && report.copies.every((copy) => isGood(copy, report))
  return { data: report, text: render(report), problem: isWhole ? undefined : 'health.failed' }
}

function isGood(copy: CopyView, report: MirrorsReport): boolean {
  return copy.state === 'current' || (copy.state === 'following' && report.mirrorSync === 'primary')
}

function render(report: MirrorsReport): string {
  const table = renderTable(report.copies, [
    { title: 'COPY', value: ({ name, isPrimary }) => (isPrimary ? `${name} (primary)` : name) },
    { title: 'STATE', value: ({ state }) => state },
    { title: 'LACKS', value: renderLag },
    {
      title: 'PLACE',
      value: ({ place, offsite }) => [place, offsite ? 'off-site' : undefined].filter(Boolean).join(', '),
    },
    { title: 'URL', value: ({ url }) => url },
  ])
  const notes = report.copies.flatMap(({ name, error }) => (error ? [`${name}: ${error.message}`] : []))
  if (report.unknown.length > 0)
    notes.push(`Not configured here: ${report.unknown.join(', ')}. Nothing is written without them.`)
  if (report.reason !== undefined) notes.push(`Last change (${report.changedAt}): ${report.reason}`)
  return [table, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n')
}

/** Objects, bytes, and how old the oldest of them may be. */
export function renderLag({ lag, lagMs, isPrimary }: CopyView): string {
  if (isPrimary && !lag) return ''
  if (!lag) return lagMs === undefined ? 'not known' : `since ${formatDuration(lagMs)} ago`
  if (lag.missingObjects === 0)
    return lag.extraObjects === 0 ? 'nothing' : `nothing; alone has ${lag.extraObjects} objects`
  const age = lagMs === undefined ? '' : `, at most ${formatDuration(lagMs)} old`
  return `${lag.missingObjects} objects, ${formatBytes(lag.missingBytes)}${age}`
}
