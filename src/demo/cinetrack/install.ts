/** CineTrack in an empty database: platform, tables, data, then keys, indexes, triggers and policies. */
import pg from 'pg'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { authSql } from './auth-sql.ts'
import { copyRows } from './copy-in.ts'
import { cineTrackData, type DataOptions } from './data.ts'
import { platformSql } from './platform-sql.ts'
import { rulesSql } from './rules-sql.ts'
import { storageSql } from './storage-sql.ts'
import { tablesSql } from './tables-sql.ts'

export interface InstallOptions extends DataOptions {
  /** Roles belong to the cluster, all else to the database; both are made when absent. */
  readonly target: ConnectionTarget
}

/** The columns whose values come from a sequence, and so must go on where the loaded data ends. */
const SEQUENCES: readonly (readonly [string, string])[] = [
  ['auth.refresh_tokens', 'id'],
  ['public.titles', 'id'],
  ['public.notifications', 'id'],
  ['public.activity_feed', 'id'],
]

/**
 * Installs CineTrack as a superuser; one transaction, so that it is there whole or not at all.
 * @returns how many rows each table got
 */
export async function installCineTrack(options: InstallOptions): Promise<Map<string, number>> {
  const client = new pg.Client(options.target.config)
  await client.connect()
  try {
    await client.query('begin')
    for (const sql of [platformSql, authSql, storageSql, tablesSql]) await client.query(sql)
    const counts = new Map<string, number>()
    for (const table of cineTrackData(options)) counts.set(table.table, await copyRows(client, table, table.rows()))
    for (const [table, column] of SEQUENCES) {
      await client.query(
        `select setval(pg_get_serial_sequence('${table}', '${column}'), greatest(1, (select max(${column}) from ${table})))`,
      )
    }
    await client.query(rulesSql)
    await client.query('commit')
    await client.query('analyze')
    return counts
  } finally {
    await client.end()
  }
}
