/**
 * The statements of a merge: rows as they were, put into the table that is there, by its primary key. Pure text. The recovered rows stand in
 * a temporary table with the columns of the living one.
 */

import { quoteName, quoteTable, type TableName } from '../../recovery/tables/table-name.ts'
import { type ColumnShape, columnList, type TableShape } from '../../recovery/tables/table-shape.ts'

/** `missing` only inserts rows whose key is not there; `changed` also overwrites those that differ. */
export const mergeModes = ['missing', 'changed'] as const
export type MergeMode = (typeof mergeModes)[number]

export interface MergeTable {
  readonly table: TableName
  /** Where the recovered rows stand. */
  readonly staged: string
  /** Columns that both tables have and that can be written. */
  readonly columns: readonly string[]
  readonly key: readonly string[]
}

/** What keeps a table from being merged into; undefined when nothing does. */
export function mergeObstacle(recovered: TableShape, live: TableShape): string | undefined {
  if (live.primaryKey === undefined) return 'it has no primary key, so nobody can say which row is which'
  if (recovered.primaryKey?.join() !== live.primaryKey.join())
    return 'its primary key is another one than at the target'
  const before = new Map(recovered.columns.map((column) => [column.name, column]))
  const changed = live.columns.filter(({ name, type }) => (before.get(name)?.type ?? type) !== type)
  if (changed.length > 0) return `the type of ${changed.map(({ name }) => name).join(', ')} has changed since`
  return undefined
}

/** Columns that both have and that may be written: one that was added since keeps its default, one that was dropped is left out. */
export function sharedColumns(recovered: TableShape, live: TableShape): ColumnShape[] {
  const before = new Set(recovered.columns.map(({ name }) => name))
  return live.columns.filter(({ name, isGenerated }) => before.has(name) && !isGenerated)
}

const names = (list: readonly string[]) => columnList(list.map((name) => ({ name })))
const sameKey = ({ key }: MergeTable) => key.map((name) => `r.${quoteName(name)} = l.${quoteName(name)}`).join(' and ')
const others = ({ columns, key }: MergeTable) => columns.filter((name) => !key.includes(name))
const rowOf = (alias: string, list: readonly string[]) =>
  `(${list.map((name) => `${alias}.${quoteName(name)}`).join(', ')})`

/** As text, because not every type can be compared (json). */
function differs(merge: MergeTable): string {
  const list = others(merge)
  return list.length === 0 ? 'false' : `row${rowOf('l', list)}::text is distinct from row${rowOf('r', list)}::text`
}

/** Rows as they were whose key is not there now. */
const missing = (merge: MergeTable) =>
  `from ${merge.staged} r where not exists (select from ${quoteTable(merge.table)} l where ${sameKey(merge)})`

/** Rows whose key is there, with other values. */
const changed = (merge: MergeTable) =>
  `from ${merge.staged} r join ${quoteTable(merge.table)} l on ${sameKey(merge)} where ${differs(merge)}`

/** How many rows are missing, differ, are equal, and are there now without having been there. */
export function countStatement(merge: MergeTable): string {
  const table = quoteTable(merge.table)
  return `select (select count(*) ${missing(merge)}) as missing, (select count(*) ${changed(merge)}) as changed,
    (select count(*) from ${merge.staged}) as recovered,
    (select count(*) from ${table} l where not exists (select from ${merge.staged} r where ${sameKey(merge)})) as newer`
}

/** Keys of rows that would be overwritten, with both versions: a conflict that a person should see. */
export function conflictStatement(merge: MergeTable, limit: number): string {
  const list = others(merge)
  return `select row${rowOf('r', merge.key)}::text as key, row${rowOf('l', list)}::text as now, row${rowOf('r', list)}::text as was
    ${changed(merge)} order by 1 limit ${limit}`
}

/** The update comes first: it may free a unique value that an insert needs. */
export function updateStatement(merge: MergeTable): string | undefined {
  const list = others(merge)
  if (list.length === 0) return undefined
  const set = list.map((name) => `${quoteName(name)} = r.${quoteName(name)}`).join(', ')
  return `update ${quoteTable(merge.table)} l set ${set} from ${merge.staged} r where ${sameKey(merge)} and ${differs(merge)}`
}

export function insertStatement(merge: MergeTable): string {
  const values = merge.columns.map((name) => `r.${quoteName(name)}`).join(', ')
  return `insert into ${quoteTable(merge.table)} (${names(merge.columns)}) overriding system value select ${values} ${missing(merge)}`
}

/**
 * How many of the missing rows would be refused by a foreign key: what they refer to is neither there nor among the rows that come.
 * @param parent where the rows of the referred table stand that come in the same merge
 */
export function orphanStatement(merge: MergeTable, key: ForeignKey, parent: MergeTable | undefined): string {
  const meets = (alias: string) =>
    key.columns.map((name, at) => `${alias}.${quoteName(key.refers[at] ?? '')} = r.${quoteName(name)}`).join(' and ')
  const given = key.columns.map((name) => `r.${quoteName(name)} is not null`).join(' and ')
  const comes = parent ? ` and not exists (select from ${parent.staged} p where ${meets('p')})` : ''
  return `select count(*) as count ${missing(merge)} and ${given}
    and not exists (select from ${quoteTable(key.table)} p where ${meets('p')})${comes}`
}

/** How many of the missing rows have a unique value that another row has now. */
export function takenStatement(merge: MergeTable, unique: readonly string[]): string {
  const meets = unique.map((name) => `t.${quoteName(name)} = r.${quoteName(name)}`).join(' and ')
  return `select count(*) as count ${missing(merge)} and exists (select from ${quoteTable(merge.table)} t where ${meets})`
}

export interface ForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly table: TableName
  /** Columns of the table that is referred to, in the same order. */
  readonly refers: readonly string[]
}

/** A part of the script that takes a merge back: statements, rows for the COPY that ends them, statements after it. */
export interface UndoPart {
  readonly before: string
  /** Gives the rows, before the merge is made. */
  readonly rows: string
  readonly after: string
}

/** Rows that were overwritten get their values again. */
export function undoChanged(merge: MergeTable): UndoPart | undefined {
  const list = others(merge)
  if (list.length === 0) return undefined
  const set = list.map((name) => `${quoteName(name)} = u.${quoteName(name)}`).join(', ')
  return {
    ...undoTable(merge, 'retake_overwritten', merge.columns),
    rows: `select ${merge.columns.map((name) => `l.${quoteName(name)}`).join(', ')} ${changed(merge)}`,
    after: `update ${quoteTable(merge.table)} l set ${set} from retake_overwritten u where ${undoKey(merge)};\ndrop table retake_overwritten;\n`,
  }
}

/** Rows that came are deleted. */
export function undoMissing(merge: MergeTable): UndoPart {
  return {
    ...undoTable(merge, 'retake_inserted', merge.key),
    rows: `select ${merge.key.map((name) => `r.${quoteName(name)}`).join(', ')} ${missing(merge)}`,
    after: `delete from ${quoteTable(merge.table)} l using retake_inserted u where ${undoKey(merge)};\ndrop table retake_inserted;\n`,
  }
}

const undoKey = ({ key }: MergeTable) => key.map((name) => `u.${quoteName(name)} = l.${quoteName(name)}`).join(' and ')

function undoTable({ table }: MergeTable, name: string, columns: readonly string[]): { readonly before: string } {
  return {
    before: `create temporary table ${name} as select ${names(columns)} from ${quoteTable(table)} limit 0;\ncopy ${name} (${names(columns)}) from stdin;\n`,
  }
}
