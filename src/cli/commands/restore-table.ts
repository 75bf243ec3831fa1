import type { TableFormat } from '../../engine/tables/deliver-files.ts'
import { type RestoreTablesReport, restoreTables } from '../../engine/tables/restore-tables.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatBytes, formatDuration, renderFields, renderTable } from '../format.ts'
import { optionText } from '../options.ts'
import { tablesAt } from '../table-options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  await using retake = await context.open()
  const out = optionText(options.out)
  const format = (optionText(options.format) ?? 'sql') as TableFormat
  const report = await restoreTables(retake, {
    ...tablesAt(context),
    where: optionText(options.where),
    files: out === undefined ? undefined : { directory: out, format },
    signal,
    onProgress: terminal.onProgress,
  }).result
  return { data: { report }, text: render(report) }
}

function render(report: RestoreTablesReport): string {
  const { reached } = report
  const fields = renderFields([
    ['target', report.target],
    [
      'last transaction',
      reached?.xid === undefined ? undefined : `${reached.xid}${reached.at ? ` at ${reached.at}` : ''}`,
    ],
    [
      'from',
      `backup ${report.backupId}: ${formatBytes(report.fetchedBytes)} fetched, ${report.wal.segments} WAL segments`,
    ],
    ['took', formatDuration(report.totalMs)],
  ])
  const tables = renderTable(report.tables, [
    { title: 'table', value: ({ table }) => table },
    { title: 'rows', value: ({ rows }) => rows.toLocaleString('en'), align: 'right' },
    { title: 'restored as', value: ({ into, file }) => into ?? file ?? '' },
  ])
  return [tables, fields, ...report.warnings.map((warning) => `Note: ${warning}`)].join('\n\n')
}
