import { resolve } from 'node:path'
import { inDatabase } from '../../postgres/connection/config.ts'
import type { RestorePlan } from '../../recovery/plan-types.ts'
import type { RestoreReport } from '../../recovery/report.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable } from '../../recovery/tables/table-name.ts'
import { majorOf } from '../../recovery/wal-log.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from '../operation.ts'
import { checkWhere } from './check-where.ts'
import { assertBefore, chooseRows } from './deleted-by.ts'
import { type DeliveredTable, deliverBeside } from './deliver-beside.ts'
import { deliverFiles, findDumpProgram, type TableFormat } from './deliver-files.ts'
import { databaseOf, openTablesAt, type TablesAtOptions } from './open-tables.ts'

export interface RestoreTablesOptions extends TablesAtOptions, OperationOptions {
  /** Only these rows, as after WHERE in SQL. It is run in the throw-away server. */
  readonly where?: string | undefined
  /** Only rows that this transaction has deleted; `at` is then the moment before it, `before-xid:N`. */
  readonly deletedBy?: number | undefined
  /** Writes files instead of tables; `directory` is made where it is not there. */
  readonly files?: { readonly directory: string; readonly format: TableFormat } | undefined
}

export interface RestoreTablesReport {
  readonly target: string
  readonly backupId: string
  readonly database: string
  readonly tables: readonly DeliveredTable[]
  /** Where the replay ended, and the last transaction that the rows are of. */
  readonly reached: RestoreReport['reached']
  /** Of the backup; all of it would be `plan.files.bytes`. */
  readonly fetchedBytes: number
  readonly wal: { readonly segments: number; readonly bytes: number }
  readonly phases: readonly { readonly name: string; readonly durationMs: number }[]
  readonly totalMs: number
  readonly warnings: readonly string[]
}

/**
 * Brings tables back as they were at a moment, out of a physical backup: only their files and the catalogs are fetched. By default they are put
 * into the living database beside those that are there, under new names (`reviews_restored_20261122t0904`), in one transaction.
 *
 * ```ts
 * const { tables } = await restoreTables(retake, { tables: ['shop.reviews'], at: '2026-11-22T09:04:00Z' }).result
 * console.log(tables[0]?.into, tables[0]?.rows)
 * ```
 *
 * The tables come with their rows, types, NOT NULL and primary key; nobody but their owner may read them until row security and grants are set.
 * @throws RetakeError by its `result`: `target.missing` when a table was not there at the target, `restore.refused`, `target.outside`, `wal.gap`,
 * `dependency.missing`, `postgres.error`, `restore.mismatch`, `aborted`
 */
export function restoreTables(retake: Retake, options: RestoreTablesOptions): Operation<RestoreTablesReport> {
  return startOperation((context) => restore(retake, { ...options, ...context }), options)
}

async function restore(retake: Retake, options: RestoreTablesOptions & OperationContext): Promise<RestoreTablesReport> {
  const { files, signal } = options
  const { clock, config, directory } = retake
  const begunMs = clock.monotonicMs()
  assertBefore(options)
  const dumpProgram =
    files?.format === 'sql'
      ? await findDumpProgram({ major: majorOf(await retake.cluster()), directory: config.postgresBinDirectory })
      : undefined
  // What is wrong with the way into the living database is told before anything is fetched.
  const live = files ? undefined : inDatabase(retake.target(), databaseOf(retake, options))
  await using recovered = await openTablesAt(retake, options)
  await checkWhere(recovered, options.where)
  const chosen = await chooseRows(recovered, {
    cluster: await retake.cluster(),
    deletedBy: options.deletedBy,
    where: options.where,
    signal,
  })
  const { where } = chosen
  const deliveredMs = clock.monotonicMs()
  const tables = live
    ? await deliverBeside(recovered, { live, where, signal })
    : await deliverFiles(recovered, {
        directory: resolve(directory, files?.directory ?? '.'),
        format: files?.format ?? 'csv',
        where,
        dumpProgram,
        signal,
      })
  const now = clock.monotonicMs()
  const facts = describeRecovery(recovered, databaseOf(retake, options))
  return {
    ...facts,
    warnings: [...facts.warnings, ...chosen.warnings],
    tables,
    phases: [...recovered.report.phases, { name: 'deliver', durationMs: Math.round(now - deliveredMs) }],
    totalMs: Math.round(now - begunMs),
  }
}

export type RecoveryFacts = Pick<
  RestoreTablesReport,
  'target' | 'backupId' | 'database' | 'reached' | 'fetchedBytes' | 'wal' | 'warnings'
>

export function describeRecovery({ plan, report, tables }: RecoveredTables, database: string): RecoveryFacts {
  const { segments, bytes } = report.wal
  return {
    target: report.target,
    backupId: report.backupId,
    database,
    reached: report.reached,
    fetchedBytes: report.files.fetchedBytes,
    wal: { segments, bytes },
    warnings: [...tables.flatMap(unloggedNote), ...corruptNote(plan)],
  }
}

function unloggedNote(table: RecoveredTables['tables'][number]): string[] {
  if (!table.isUnlogged) return []
  return [`${formatTable(table)} is unlogged: its rows are in no backup and in no WAL, so it is empty.`]
}

function corruptNote({ warnings }: RestorePlan): string[] {
  return warnings.filter((warning) => warning.includes('corrupt'))
}
