/** `retake restore merge`: rows as they were, put into the tables that are there. */
import type { MergedTable } from '../../engine/tables/deliver-merge.ts'
import type { MergeMode } from '../../engine/tables/merge-sql.ts'
import { type MergeTablesReport, mergeTables } from '../../engine/tables/merge-tables.ts'
import type { CommandContext, CommandOutcome } from '../command.ts'
import { formatDuration, renderTable } from '../format.ts'
import { optionText } from '../options.ts'
import { askLine } from '../prompt.ts'
import { tablesAt } from '../table-options.ts'

export async function run(context: CommandContext): Promise<CommandOutcome> {
  const { options, signal, terminal } = context
  const wanted = tablesAt(context)
  const [first = ''] = wanted.tables
  await using retake = await context.open()
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
  const undoFile = optionText(options.undo) ?? `retake-undo-${stamp}.sql`
  const apply = options.apply === true ? { confirm: await confirmation(context, first), undoFile } : undefined
  const report = await mergeTables(retake, {
    ...wanted,
    mode: (optionText(options.rows) ?? 'missing') as MergeMode,
    where: optionText(options.where),
    apply,
    signal,
    onProgress: terminal.onProgress,
  }).result
  const isRefused = report.tables.some(({ obstacles }) => obstacles.length > 0)
  return {
    data: { dryRun: apply === undefined, report },
    text: render(report, apply !== undefined),
    problem: isRefused ? 'restore.refused' : undefined,
  }
}

async function confirmation(context: CommandContext, table: string): Promise<string | undefined> {
  const given = optionText(context.options.confirm)
  if (given !== undefined || !context.interactive) return given
  return await askLine(`\nThis changes ${table} in the living database. Type its name to go on: `, context.signal)
}

function render(report: MergeTablesReport, isWanted: boolean): string {
  const { tables, mode, isApplied, undoFile, warnings, target, totalMs } = report
  const number = (value: number) => value.toLocaleString('en')
  const changed = mode === 'changed' ? 'overwritten' : 'differ, stay'
  const counts = renderTable(tables, [
    { title: 'table', value: ({ table }) => table },
    { title: 'then', value: ({ recovered }) => number(recovered), align: 'right' },
    { title: 'missing, inserted', value: ({ missing }) => number(missing), align: 'right' },
    { title: changed, value: (one) => number(one.changed), align: 'right' },
    { title: 'newer, stay', value: ({ newer }) => number(newer), align: 'right' },
  ])
  const notes = [...tables.flatMap(notesOf), ...warnings.map((warning) => `Note: ${warning}`)]
  const end = isApplied
    ? `Merged as of ${target} in ${formatDuration(totalMs)}. To take it back: psql --set ON_ERROR_STOP=1 --file ${undoFile}`
    : `Nothing was changed.${isWanted ? '' : ' To do it: the same with --apply.'}`
  return [counts, ...notes, end].join('\n\n')
}

function notesOf({ table, examples, obstacles, triggersLeftOut }: MergedTable): string[] {
  const differing = examples.map(({ key, now, was }) => `  ${key}\n    now  ${now}\n    then ${was}`)
  return [
    ...obstacles.map((obstacle) => `Not possible for ${table}: ${obstacle}`),
    ...(differing.length > 0 ? [`Rows of ${table} that differ, for example:\n${differing.join('\n')}`] : []),
    ...(triggersLeftOut.length > 0 ? [`Triggers of ${table} do not fire: ${triggersLeftOut.join(', ')}.`] : []),
  ]
}
