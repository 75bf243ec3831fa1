import { resolve } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import { inDatabase } from '../../postgres/connection/config.ts'
import { formatTable, parseTableName } from '../../recovery/tables/table-name.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from '../operation.ts'
import { checkWhere } from './check-where.ts'
import { assertBefore, chooseRows } from './deleted-by.ts'
import { deliverMerge, type MergedTable, mergeRefused } from './deliver-merge.ts'
import type { MergeMode } from './merge-sql.ts'
import { databaseOf, openTablesAt, type TablesAtOptions } from './open-tables.ts'
import { describeRecovery, type RecoveryFacts } from './restore-tables.ts'

export interface MergeTablesOptions extends TablesAtOptions, OperationOptions {
  /** `missing`: rows that are not there now come back. `changed`: rows that have other values now are overwritten as well. */
  readonly mode: MergeMode
  /** Only these rows, as after WHERE in SQL. It is run in the throw-away server. */
  readonly where?: string | undefined
  /** Only rows that this transaction has deleted; `at` is then the moment before it, `before-xid:N`. */
  readonly deletedBy?: number | undefined
  /**
   * Default: nothing is changed, and the report says what would be. `confirm` is the name of the first table, as `schema.table`; the script
   * for psql that takes the merge back is written to `undoFile`, which must not be there, before the merge is committed.
   */
  readonly apply?: { readonly confirm: string | undefined; readonly undoFile: string } | undefined
}

export interface MergeTablesReport extends RecoveryFacts {
  readonly mode: MergeMode
  readonly tables: readonly MergedTable[]
  /** False: nothing was changed. */
  readonly isApplied: boolean
  readonly undoFile?: string | undefined
  readonly totalMs: number
}

/**
 * Puts rows as they were at a moment into the tables that are there now, by primary key and in one transaction with every constraint in force.
 * Rows that came since stay. What stands against it is counted first, and nothing is changed then.
 *
 * ```ts
 * const shown = await mergeTables(retake, { tables: ['shop.reviews'], at: 'before-xid:812', mode: 'missing' }).result
 * const apply = { confirm: 'shop.reviews', undoFile: 'undo.sql' }
 * await mergeTables(retake, { tables: ['shop.reviews'], at: 'before-xid:812', mode: 'missing', apply }).result
 * ```
 * @throws RetakeError by its `result`: `confirmation.missing`, `restore.refused`, `target.missing`, `target.outside`, `wal.gap`,
 * `dependency.missing`, `postgres.error`, `restore.mismatch`, `aborted`
 */
export function mergeTables(retake: Retake, options: MergeTablesOptions): Operation<MergeTablesReport> {
  return startOperation((context) => merge(retake, { ...options, ...context }), options)
}

async function merge(retake: Retake, options: MergeTablesOptions & OperationContext): Promise<MergeTablesReport> {
  const { mode, apply, signal } = options
  const { clock, directory } = retake
  const begunMs = clock.monotonicMs()
  assertConfirmed(options)
  assertBefore(options)
  const live = inDatabase(retake.target(), databaseOf(retake, options))
  const undoFile = apply && resolve(directory, apply.undoFile)
  await using recovered = await openTablesAt(retake, options)
  await checkWhere(recovered, options.where)
  const { where, warnings } = await chooseRows(recovered, {
    cluster: await retake.cluster(),
    deletedBy: options.deletedBy,
    where: options.where,
    signal,
  })
  const tables = await deliverMerge(recovered, { live, mode, where, undoFile, signal }).catch((error: unknown) => {
    throw mergeRefused(error)
  })
  const isApplied = apply !== undefined && tables.every(({ obstacles }) => obstacles.length === 0)
  const facts = describeRecovery(recovered, databaseOf(retake, options))
  return {
    ...facts,
    warnings: [...facts.warnings, ...warnings],
    ...{ mode, tables, isApplied },
    ...(isApplied ? { undoFile } : {}),
    totalMs: Math.round(clock.monotonicMs() - begunMs),
  }
}

function assertConfirmed({ tables: [first], apply }: MergeTablesOptions): void {
  if (!apply || first === undefined) return
  const wanted = formatTable(parseTableName(first))
  if (apply.confirm !== undefined && formatTable(parseTableName(apply.confirm)) === wanted) return
  throw new RetakeError(
    'confirmation.missing',
    `A merge changes ${wanted} in the living database; it was not confirmed.`,
    {
      hint: `Look at what it would do (without --apply), then: --apply --confirm ${wanted}`,
    },
  )
}
