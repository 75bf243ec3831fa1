import { type PreviewReport, preview, type TableLoss } from '../../engine/preview.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, formatDuration, renderFields, renderTable } from '../format.ts'
import { optionInteger, optionText, requireOption } from '../options.ts'

const TABLES_SHOWN = 15
const UNDONE_SHOWN = 10
/** Characters of a row. */
const SAMPLE_WIDTH = 160

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  await using retake = await context.open()
  const report = await preview(retake, {
    at: requireOption(options.at, { name: '--at', hint: 'Such as: retake preview --at 2026-11-22T09:04:00Z' }),
    timeline: optionInteger(options.timeline, { name: '--timeline', min: 1, max: 0xffff_ffff }),
    backupId: optionText(options.backup),
    sample: options.sample === true ? true : (options.sample as string[] | undefined),
    signal,
    onProgress: terminal.onProgress,
  }).result
  return { data: report, text: render(report) }
}

function render(report: PreviewReport): string {
  const { lost, undone, marks, lastKept, firstLost, gaps } = report
  const [next] = firstLost
  const fields = renderFields([
    ['target', `${report.target}, on timeline ${report.timeline}`],
    ['last commit kept', lastKept && `${lastKept.xid} at ${lastKept.at} (${lastKept.lsn})`],
    ['first commit lost', next && `${next.xid} at ${next.at}; with it: --at ${next.target}`],
    ['lost', lossOf(report)],
    ['not held yet', notHeld(report)],
    ['recovery', costOf(report)],
  ])
  const parts = [fields]
  if (lost.tables.length > 0) parts.push(renderTables(lost.tables))
  if (lost.madeSince.length > 0) parts.push(renderMade(lost.madeSince))
  for (const { table, rows, some } of report.samples ?? []) {
    const lines = some.map((row) => `  ${cut(JSON.stringify(row))}`)
    parts.push(
      [
        `${table} then, ${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'}${rows > some.length ? `, ${some.length} of them` : ''}:`,
        ...lines,
      ].join('\n'),
    )
  }
  if (undone.length > 0) {
    const lines = undone
      .slice(0, UNDONE_SHOWN)
      .map(({ what, at, xid }) => `  ${what} (${at ?? 'time not known'}, ${xid ?? '?'})`)
    const more = undone.length > UNDONE_SHOWN ? [`  ${undone.length - UNDONE_SHOWN} more: retake find`] : []
    parts.push(['Undone by it:', ...lines, ...more].join('\n'))
  }
  if (marks.length > 0)
    parts.push(
      [
        'Marks since:',
        ...marks.map(({ type, name, at, lsn }) => `  ${at ?? lsn}  ${type}${name ? ` ${name}` : ''}`),
      ].join('\n'),
    )
  if (!lost.isExact)
    parts.push(
      'Not everything is known row by row: a table was dropped or emptied, a transaction began before what was read, WAL is missing, or there were very many tables.',
    )
  for (const { fromLsn, toLsn } of gaps)
    parts.push(`WAL is missing from ${fromLsn} to ${toLsn}: what was done there is not known.`)
  for (const warning of report.recovery.warnings) parts.push(`Note: ${warning}`)
  return parts.join('\n\n')
}

const cut = (line: string) => (line.length > SAMPLE_WIDTH ? `${line.slice(0, SAMPLE_WIDTH - 1)}…` : line)

function renderMade(names: readonly string[]): string {
  const more = names.length > TABLES_SHOWN ? `, and ${names.length - TABLES_SHOWN} more: --json` : ''
  return `Made since, and not there then: ${names.slice(0, TABLES_SHOWN).join(', ')}${more}`
}

function lossOf({ lost }: PreviewReport): string {
  const { commits, underWay, ms, newest } = lost
  if (commits === 0) return 'nothing: no later commit is held'
  const begun = underWay === 0 ? '' : `, ${underWay} of them begun before the target`
  return `${commits.toLocaleString('en')} ${commits === 1 ? 'commit' : 'commits'} in ${formatDuration(ms)}, until ${newest?.at}${begun}`
}

function notHeld({ notHeldBytes, notAsked }: PreviewReport): string {
  if (notHeldBytes === undefined) return `not known: ${notAsked}`
  return notHeldBytes === 0
    ? 'nothing: all that the server has is held'
    : `${formatBytes(notHeldBytes)} of WAL on the server`
}

function costOf({ recovery }: PreviewReport): string {
  const { backup, wal, files, predicted } = recovery
  return `backup ${backup.backupId}, ${formatBytes(files.fetchedBytes)} to fetch, ${formatBytes(wal.bytes)} of WAL; ${formatDuration(predicted.totalMs)} (${predicted.formula})`
}

function renderTables(tables: readonly TableLoss[]): string {
  const number = (value: number) => (value === 0 ? '' : value.toLocaleString('en'))
  const table = renderTable(tables.slice(0, TABLES_SHOWN), [
    { title: 'rows since', value: ({ name }) => name ?? 'a table whose name is not known' },
    { title: 'inserted: go', value: ({ inserted }) => number(inserted), align: 'right' },
    { title: 'changed: as they were', value: ({ updated }) => number(updated), align: 'right' },
    { title: 'deleted: are back', value: ({ deleted }) => number(deleted), align: 'right' },
  ])
  return tables.length > TABLES_SHOWN ? `${table}\n${tables.length - TABLES_SHOWN} more tables: --json` : table
}
