/**
 * Incidents among transactions, the worst first. Pure. A deletion is large by what the table has, where that is known, and by what the table
 * is used to: a job that deletes a million rows each night is no incident on its tenth night.
 */

import { formatLsn } from '../postgres/lsn.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import type { FileChanges } from '../postgres/wal/transactions/transaction.ts'
import { type JournalTransaction, positionOf } from './block.ts'
import { fileKey } from './file-key.ts'
import { type Habits, isUnusual } from './habits.ts'
import type { Incident, IncidentKind, IncidentSeverity, IncidentTable, TableName } from './incident.ts'

export interface FindOptions {
  readonly nameOf: (file: RelationFile) => TableName
  readonly habits: Habits
  readonly databaseName?: ((oid: number) => string | undefined) | undefined
}

/** Fewer rows are nobody's disaster, however small the table is. */
export const LEAST_ROWS = 10
/** Of a table whose size is not known. */
const MANY_ROWS = 1_000
/** Of the rows that a table has. */
const MOST_SHARE = 0.5
const LARGE_SHARE = 0.1

export function incidentsOf(transaction: JournalTransaction, options: FindOptions): Incident[] {
  if (transaction.outcome !== 'committed') return []
  return [
    ...massChanges(transaction, options),
    ...removedTables(transaction, options),
    ...droppedDatabases(transaction, options),
    ...schemaChanges(transaction, options),
  ]
}

/** Those that are as severe by their weight, then the newest. */
export function worstFirst(incidents: readonly Incident[]): Incident[] {
  const rank = (severity: IncidentSeverity) => ['critical', 'warning', 'info'].indexOf(severity)
  return [...incidents].sort(
    (left, right) =>
      rank(left.severity) - rank(right.severity) || right.weight - left.weight || (left.lsn < right.lsn ? 1 : -1),
  )
}

function massChanges(transaction: JournalTransaction, options: FindOptions): Incident[] {
  // What a transaction does to the rows of a table that it has made itself was never there for anybody else.
  const made = new Set(transaction.wholeFiles.flatMap((one) => (one.type === 'file-create' ? [fileKey(one.file)] : [])))
  return (['deleted', 'updated'] as const).flatMap((what) => {
    const tables = transaction.files.flatMap((changes) => {
      if (made.has(fileKey(changes.file))) return []
      const rows = what === 'deleted' ? changes.deleted - changes.movedAway : changes.updated
      const severity = massSeverity({ changes, what, rows }, options)
      return severity ? [{ severity, rows, table: tableOf(changes, options) }] : []
    })
    // Of those that are as bad the first that was touched: what was deleted with it by foreign keys comes later.
    const [worst] = tables.sort((left, right) => rankOf(left) - rankOf(right))
    if (!worst) return []
    const share = shareOf(worst.rows, worst.table.name)
    const verb = what === 'deleted' ? 'deleted' : 'changed'
    const part = share === undefined ? '' : `, ${percent(share)} of the table`
    const more =
      tables.length > 1 ? `, and of ${tables.length - 1} more ${tables.length === 2 ? 'table' : 'tables'}` : ''
    return incident(transaction, {
      kind: what === 'deleted' ? 'mass-delete' : 'mass-update',
      severity: worst.severity,
      what: `${counted(worst.rows, 'row')} of ${called(worst.table.name)} ${verb}${part}${more}`,
      tables: tables.map(({ table }) => table),
      weight: share ?? 0,
    })
  })
}

const rankOf = ({ severity }: { readonly severity: IncidentSeverity }) =>
  ['critical', 'warning', 'info'].indexOf(severity)

interface Mass {
  readonly changes: FileChanges
  readonly what: 'deleted' | 'updated'
  readonly rows: number
}

function massSeverity({ changes, what, rows }: Mass, { nameOf, habits }: FindOptions): IncidentSeverity | undefined {
  const name = nameOf(changes.file)
  if (rows < LEAST_ROWS || !['table', 'unknown'].includes(name.kind)) return undefined
  if (!isUnusual(habits, { file: changes.file, what, rows })) return undefined
  const share = shareOf(rows, name)
  if (share === undefined) return rows >= MANY_ROWS ? 'warning' : undefined
  if (share >= MOST_SHARE) return what === 'deleted' ? 'critical' : 'warning'
  return share >= LARGE_SHARE ? 'warning' : undefined
}

/** Undefined where nobody knows how many there are. More than all is all: the count is from when the backup was made. */
function shareOf(rows: number, name: TableName): number | undefined {
  if (name.rows === undefined || name.rows <= 0) return undefined
  return Math.min(1, rows / name.rows)
}

/**
 * Files that are gone after the commit. Where each has a new one, the table was emptied, or written anew when the new one has rows (VACUUM FULL,
 * CLUSTER, ALTER TABLE, or a load that empties the table first); else it was dropped.
 */
function removedTables(transaction: JournalTransaction, options: FindOptions): Incident[] {
  const { wholeFiles, files } = transaction
  const made = wholeFiles.flatMap((event) =>
    event.type === 'file-create' && event.fork === MAIN_FORK ? [event.file] : [],
  )
  // An ALTER TABLE makes an index anew before the table, and once more after it.
  const created = without(made, transaction.droppedFiles)
  const droppedFiles = without(transaction.droppedFiles, made)
  const tables = droppedFiles
    .map((file) => ({ file, name: options.nameOf(file), inserted: 0, updated: 0, deleted: 0 }))
    .filter(({ name }) => name.kind === 'table')
  if (tables.length === 0) return []
  const isReplaced = created.length >= droppedFiles.length
  // A table's own file is made before those of its indexes, which have a page each even when they are empty.
  const [own] = created
  const isFilled =
    own !== undefined &&
    files.some(({ file, newPages, inserted }) => newPages + inserted > 0 && fileKey(own) === fileKey(file))
  const named = tables.map(({ name }) => called(name)).join(', ')
  const rows = tables.reduce((sum, { name }) => sum + (name.rows ?? 0), 0)
  if (isReplaced && isFilled && tables.length === 1) {
    const what = `${named} written anew`
    return [incident(transaction, { kind: 'schema-change', severity: 'info', what, tables, weight: rows })]
  }
  const had = tables.some(({ name }) => name.rows !== undefined) ? `, with about ${counted(rows, 'row')}` : ''
  const how = isReplaced ? (isFilled ? 'emptied or written anew' : 'emptied (TRUNCATE)') : 'dropped'
  return [
    incident(transaction, {
      kind: isReplaced ? 'truncate' : 'drop',
      // Several at once: which of them have their rows is not known.
      severity: isReplaced && isFilled ? 'warning' : 'critical',
      what: `${named} ${how}${had}`,
      tables,
      weight: 1 + rows,
    }),
  ]
}

const MAIN_FORK = 0

function without(files: readonly RelationFile[], others: readonly RelationFile[]): RelationFile[] {
  const keys = new Set(others.map(fileKey))
  return files.filter((file) => !keys.has(fileKey(file)))
}

function droppedDatabases(transaction: JournalTransaction, { databaseName }: FindOptions): Incident[] {
  return transaction.wholeFiles.flatMap((event) => {
    if (event.type !== 'database-drop') return []
    const name = databaseName?.(event.oid)
    return [
      incident(transaction, {
        kind: 'drop-database',
        severity: 'critical',
        what: `The database ${name ?? `with the oid ${event.oid}`} dropped`,
        tables: [],
        weight: Number.MAX_VALUE,
      }),
    ]
  })
}

/** What ANALYZE writes, by the oids that name catalogs and their files at first: it tells every session of a new definition, but there is none. */
const STATISTICS = new Set(['pg_statistic', 'pg_statistic_ext_data', 'pg_toast_2619', 'pg_toast_3429'])
const STATISTICS_FILES = new Set([2619, 3429, 2840, 3430])

/** Definitions that were changed in the catalogs, without a table that is gone. */
function schemaChanges(transaction: JournalTransaction, options: FindOptions): Incident[] {
  const { droppedFiles, changedRelations, files } = transaction
  const isCatalogChanged = files.some(({ file }) => {
    const { kind, table } = options.nameOf(file)
    const isStatistics = table === undefined ? STATISTICS_FILES.has(file.relfilenode) : STATISTICS.has(table)
    return kind === 'catalog' && !isStatistics
  })
  if (changedRelations.length === 0 || !isCatalogChanged) return []
  if (droppedFiles.some((file) => options.nameOf(file).kind === 'table')) return []
  const many = changedRelations.filter(({ oid }) => oid !== 0).length
  return [
    incident(transaction, {
      kind: 'schema-change',
      severity: 'info',
      what: `The definition of ${counted(many, 'relation')} changed`,
      tables: [],
      weight: many,
    }),
  ]
}

function tableOf({ file, inserted, updated, deleted }: FileChanges, { nameOf }: FindOptions): IncidentTable {
  return { file, name: nameOf(file), inserted, updated, deleted }
}

function incident(
  transaction: JournalTransaction,
  facts: Pick<Incident, 'severity' | 'what' | 'tables' | 'weight'> & { readonly kind: IncidentKind },
): Incident {
  const { xid, end, isFromBegin, isExact } = transaction
  return {
    ...facts,
    at: end?.at,
    xid,
    lsn: end?.lsn ?? positionOf(transaction),
    before: `before-xid:${xid}`,
    after: end ? `lsn:${formatLsn(end.lsn)}` : `xid:${xid}`,
    isPartial: !isFromBegin || !isExact,
  }
}

function called({ schema, table }: TableName): string {
  if (table === undefined) return 'a table whose name is not known'
  return schema === undefined ? table : `${schema}.${table}`
}

const counted = (count: number, word: string) => `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`
const percent = (share: number) => `${share >= 0.995 ? 'all' : `${(share * 100).toFixed(0)} %`}`
