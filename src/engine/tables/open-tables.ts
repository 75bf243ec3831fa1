/** From the configuration to a server that holds some tables as they were. */
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import { type RecoveredTables, recoverTables } from '../../recovery/tables/recover-tables.ts'
import { parseTableName } from '../../recovery/tables/table-name.ts'
import { parseTarget, type RecoveryTarget } from '../../recovery/targets.ts'
import { listBackupIds } from '../../repository/manifest-store.ts'
import type { Retake } from '../open.ts'
import type { OperationContext } from '../operation.ts'

export interface TablesAtOptions {
  /** As SQL writes them: `reviews` (in `public`), `shop.reviews`, `"My Schema"."T"`. */
  readonly tables: readonly string[]
  /** As one word (`latest`, `2026-11-22T09:04:11Z`, `lsn:0/3000060`, `xid:812`, `before-xid:812`, `name:before_deploy`) or as data. */
  readonly at: string | RecoveryTarget
  /** Default: the one that the configured address of the server names, else `postgres`. */
  readonly database?: string | undefined
  /** Default: the newest timeline that holds the target. */
  readonly timeline?: number | undefined
  /** Default: the newest backup before the target. */
  readonly backupId?: string | undefined
  /** Where the throw-away server is made. Default: the system's temporary directory. */
  readonly workDirectory?: string | undefined
}

/** @throws RetakeError as `recoverTables`; `config.invalid`, `target.invalid`, `backup.missing` */
export async function openTablesAt(
  retake: Retake,
  options: TablesAtOptions & OperationContext,
): Promise<RecoveredTables> {
  if (options.tables.length === 0)
    throw new RetakeError('config.invalid', 'No table was named.', { hint: 'Name one as schema.table.' })
  return await openAt(retake, options)
}

/** Without a table, the whole cluster. @throws RetakeError as {@link openTablesAt} */
export async function openAt(
  retake: Retake,
  options: TablesAtOptions & OperationContext & { readonly until?: Date | undefined },
): Promise<RecoveredTables> {
  const { at, tables, workDirectory, timeline, backupId, until, signal, onProgress } = options
  const target = typeof at === 'string' ? parseTarget(at) : at
  const wanted = { database: databaseOf(retake, options), tables: tables.map(parseTableName) }
  const cluster = await retake.cluster()
  if ((await listBackupIds(cluster)).length === 0) {
    throw new RetakeError(
      'backup.missing',
      `There is no backup of "${retake.clusterName}", so nothing can be restored.`,
      { hint: 'Make one: retake backup' },
    )
  }
  const { logger, clock, config, directory } = retake
  return await recoverTables({
    ...{ cluster, target, wanted, timeline, backupId, until, signal, onProgress, logger, clock },
    parent: workDirectory === undefined ? tmpdir() : resolve(directory, workDirectory),
    binDir: config.postgresBinDirectory,
  })
}

export function databaseOf(retake: Retake, { database }: Pick<TablesAtOptions, 'database'>): string {
  if (database !== undefined) return database
  return (retake.config.databaseUrl === undefined ? undefined : retake.target().config.database) ?? 'postgres'
}
