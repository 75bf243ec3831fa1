/**
 * Puts rows as they were into the tables that are there now: in one transaction, parents first, with every constraint in force. What would be
 * refused is counted before anything is written, and a script that takes the merge back is durable before it is committed.
 */
import { open, rename } from 'node:fs/promises'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import { syncDirectory } from '../../recovery/durable-files.ts'
import type { FoundTable } from '../../recovery/tables/check-files.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable, quoteName, quoteTable } from '../../recovery/tables/table-name.ts'
import { columnList, readShape, selectRows } from '../../recovery/tables/table-shape.ts'
import { type LiveTable, readLiveTable, refused } from './live-table.ts'
import {
  conflictStatement,
  countStatement,
  insertStatement,
  type MergeMode,
  type MergeTable,
  mergeObstacle,
  orphanStatement,
  sharedColumns,
  takenStatement,
  type UndoPart,
  undoChanged,
  undoMissing,
  updateStatement,
} from './merge-sql.ts'
import { beginForText } from './text-settings.ts'

/** What a merge does to one table, or would do. */
export interface MergedTable {
  /** As it was asked for: `schema.table`. */
  readonly table: string
  /** At the target, as far as `where` lets them through. */
  readonly recovered: number
  /** Rows that are not there now: they are inserted. */
  readonly missing: number
  /** Rows that have other values now: overwritten in the mode `changed`, else left as they are. */
  readonly changed: number
  /** Rows that are there now and were not at the target: they stay. */
  readonly newer: number
  /** Some that have other values, with both, as text. */
  readonly examples: readonly { readonly key: string; readonly now: string; readonly was: string }[]
  /** Why some of the missing rows cannot be inserted. Any of them, and nothing is merged. */
  readonly obstacles: readonly string[]
  /** Triggers that do not fire, so that rows come as they were. */
  readonly triggersLeftOut: readonly string[]
}

export interface MergeOptions {
  readonly live: ConnectionTarget
  readonly mode: MergeMode
  readonly where?: string | undefined
  /** Undefined: nothing is changed. Else where the script is written that takes the merge back. */
  readonly undoFile: string | undefined
  readonly signal: AbortSignal
}

interface Merging {
  readonly found: FoundTable
  readonly live: LiveTable
  readonly merge: MergeTable
}

const EXAMPLES = 5

/** @throws RetakeError `restore.refused`, `target.missing`, `postgres.error`, `config.invalid`; nothing is changed then */
export async function deliverMerge(recovered: RecoveredTables, options: MergeOptions): Promise<MergedTable[]> {
  const { live, mode, where, undoFile, signal } = options
  await using from = await CopySession.open(recovered.target, { signal })
  await using to = await CopySession.open(live, { applicationName: 'retake restore table', signal })
  await beginForText(from, 'read only')
  await beginForText(to, 'read write')
  await to.query('set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
  if (undoFile !== undefined) {
    // Readers go on; a row that somebody writes meanwhile would be in no count and in no undo.
    const tables = recovered.tables.map(quoteTable).join(', ')
    await to.query(`lock table ${tables} in share row exclusive mode`)
  }
  const merging: Merging[] = []
  for (const [index, found] of recovered.tables.entries()) merging.push(await stage(from, to, { found, index, where }))
  const report: MergedTable[] = []
  for (const one of merging) report.push(await look(to, one, { merging, mode }))
  if (undoFile === undefined || report.some(({ obstacles }) => obstacles.length > 0)) {
    await to.query('rollback')
    return report
  }
  const ordered = parentsFirst(merging)
  await writeUndo(to, { ordered, mode, undoFile })
  for (const statement of ordered.flatMap(quieten)) await to.query(statement)
  if (mode === 'changed') for (const { merge } of ordered) await update(to, merge)
  for (const { merge } of ordered) await to.query(insertStatement(merge))
  // Deferred constraints are checked now, where an error is still told as one.
  await to.query('set constraints all immediate')
  for (const statement of ordered.flatMap(wake)) await to.query(statement)
  await to.query('commit')
  return report
}

async function update(to: CopySession, merge: MergeTable): Promise<void> {
  const statement = updateStatement(merge)
  if (statement !== undefined) await to.query(statement)
}

/** The recovered rows, in a temporary table beside the living one. */
async function stage(
  from: CopySession,
  to: CopySession,
  work: { readonly found: FoundTable; readonly index: number; readonly where: string | undefined },
): Promise<Merging> {
  const { found, index, where } = work
  const live = await readLiveTable(to, found)
  const before = await readShape(from, found)
  const obstacle = mergeObstacle(before, live.shape)
  if (obstacle !== undefined) throw refused(found, obstacle)
  const columns = sharedColumns(before, live.shape)
  const staged = `pg_temp.retake_merge_${index}`
  const definition = columns.map(({ name, type, collation }) =>
    [quoteName(name), type, collation === undefined ? '' : `collate ${collation}`].join(' '),
  )
  await to.query(`create temporary table retake_merge_${index} (${definition.join(', ')}) on commit drop`)
  const rows = from.copyOut(`copy (${selectRows(found, { columns, where })}) to stdout`)
  const written = await to.copyIn(`copy ${staged} (${columnList(columns)}) from stdin`, rows.pieces)
  if (written !== rows.rows()) {
    throw new RetakeError(
      'restore.mismatch',
      `${rows.rows()} rows were sent and ${written} arrived; nothing was changed.`,
      {
        hint: 'Try again; if it happens again, bring the table back under a new name, without --merge.',
      },
    )
  }
  const key = live.shape.primaryKey ?? []
  await to.query(`create index on ${staged} (${key.map(quoteName).join(', ')}); analyze ${staged}`)
  const table = { schema: found.schema, table: found.table }
  return { found, live, merge: { table, staged, columns: columns.map(({ name }) => name), key } }
}

async function look(
  to: CopySession,
  { found, live, merge }: Merging,
  { merging, mode }: { readonly merging: readonly Merging[]; readonly mode: MergeMode },
): Promise<MergedTable> {
  const [counts] = await to.query(countStatement(merge))
  const examples = await to.query(conflictStatement(merge, EXAMPLES))
  const obstacles: string[] = []
  for (const key of live.foreignKeys) {
    const parent = merging.find((one) => formatTable(one.found) === formatTable(key.table))?.merge
    const count = await countOf(to, orphanStatement(merge, key, parent))
    const missing = `${count} of the missing rows refer to rows of ${formatTable(key.table)} that are not there (${key.name})`
    if (count > 0) obstacles.push(`${missing}: name that table as well, or leave them out with --where.`)
  }
  // What an update is about to free is known only to the server: it refuses, and nothing is changed.
  for (const unique of mode === 'missing' ? live.uniques : []) {
    const count = await countOf(to, takenStatement(merge, unique))
    const taken = `${count} of the missing rows have a ${unique.join(', ')} that another row has now`
    if (count > 0) obstacles.push(`${taken}: leave them out with --where.`)
  }
  const number = (name: string) => Number(counts?.[name] ?? 0)
  return {
    table: formatTable(found),
    ...{
      recovered: number('recovered'),
      missing: number('missing'),
      changed: number('changed'),
      newer: number('newer'),
    },
    examples: examples.map(({ key, now, was }) => ({ key: key ?? '', now: now ?? '', was: was ?? '' })),
    obstacles,
    triggersLeftOut: live.triggers.map(({ name }) => name),
  }
}

async function countOf(to: CopySession, statement: string): Promise<number> {
  const [row] = await to.query(statement)
  return Number(row?.count ?? 0)
}

/** What others refer to comes before them; in a circle, in the order in which they were named. */
function parentsFirst(merging: readonly Merging[]): Merging[] {
  const ordered: Merging[] = []
  const visit = (one: Merging, above: readonly Merging[]) => {
    if (ordered.includes(one) || above.includes(one)) return
    for (const { table } of one.live.foreignKeys) {
      const parent = merging.find(({ found }) => formatTable(found) === formatTable(table))
      if (parent) visit(parent, [...above, one])
    }
    ordered.push(one)
  }
  for (const one of merging) visit(one, [])
  return ordered
}

/** Its triggers would make other rows of what was, such as a new `updated_at`. They stay off for this transaction alone. */
const quieten = ({ merge, live }: Merging): string[] =>
  live.triggers.map(({ name }) => `alter table ${quoteTable(merge.table)} disable trigger ${quoteName(name)}`)

const wake = ({ merge, live }: Merging): string[] =>
  live.triggers.map(({ name, enable }) => `alter table ${quoteTable(merge.table)} ${enable} trigger ${quoteName(name)}`)

/** Durable before the merge is committed: whoever has the merge has the way back. */
async function writeUndo(
  to: CopySession,
  work: { readonly ordered: readonly Merging[]; readonly mode: MergeMode; readonly undoFile: string },
): Promise<void> {
  const { ordered, mode, undoFile } = work
  const draft = `${undoFile}.draft`
  await using handle = await open(draft, 'wx', 0o600).catch((cause: unknown) => {
    throw new RetakeError('config.invalid', `${draft} cannot be made, so nothing was changed.`, {
      hint: 'Name another file: --undo FILE.',
      cause,
    })
  })
  await handle.writeFile(
    `-- Takes back what retake has merged into ${ordered.map(({ found }) => formatTable(found)).join(', ')}.\n`,
  )
  await handle.writeFile(`-- psql --set ON_ERROR_STOP=1 --file THIS\nbegin;\nset local search_path = 'pg_catalog';\n`)
  await handle.writeFile(scriptOf(ordered.flatMap(quieten)))
  // Children first, so that nothing refers to a row that goes.
  for (const { merge } of ordered.toReversed()) await writePart(to, handle, undoMissing(merge))
  if (mode === 'changed') {
    for (const { merge } of ordered) {
      const part = undoChanged(merge)
      if (part) await writePart(to, handle, part)
    }
  }
  await handle.writeFile(`${scriptOf(ordered.flatMap(wake))}commit;\n`)
  await handle.sync()
  await rename(draft, undoFile)
  await syncDirectory(undoFile.slice(0, undoFile.lastIndexOf('/')) || '/')
}

const scriptOf = (statements: readonly string[]) => statements.map((statement) => `${statement};\n`).join('')

async function writePart(
  to: CopySession,
  handle: { writeFile(data: string | Uint8Array): Promise<void> },
  { before, rows, after }: UndoPart,
): Promise<void> {
  await handle.writeFile(before)
  for await (const bytes of to.copyOut(`copy (${rows}) to stdout`).pieces) await handle.writeFile(bytes)
  await handle.writeFile(`\\.\n\n${after}`)
}

/** A constraint that only the server knows of has refused a row: everything is as it was. */
export function mergeRefused(error: unknown): unknown {
  if (!isRetakeError(error, 'postgres.error')) return error
  return new RetakeError('restore.refused', `The database refused the merge: ${error.message} Nothing was changed.`, {
    hint: 'Leave such rows out with --where, or bring the table back under a new name, without --merge.',
    details: error.details,
    cause: error,
  })
}
