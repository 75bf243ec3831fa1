/** Where a server's log ends now, by its own clock. */
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'

export interface ServerView {
  readonly timeline: number | undefined
  readonly flushLsn: string
  /** The server's clock, ISO 8601 UTC. */
  readonly now: string
  readonly inRecovery: boolean
}

const QUERY = `
  select pg_is_in_recovery() as "inRecovery",
         to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "now",
         (case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
               else pg_current_wal_flush_lsn() end)::text as "flushLsn",
         case when pg_is_in_recovery() then null
              else left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) end as "timeline"`

interface ServerRow {
  readonly inRecovery: boolean
  readonly now: string
  readonly flushLsn: string
  readonly timeline: string | null
}

/** @throws RetakeError `postgres.*` */
export async function queryServerView(sql: SqlConnection): Promise<ServerView> {
  const [row] = await sql.query<ServerRow>(QUERY)
  if (!row) throw new Error('assertion failed: the server answered without a row')
  return {
    inRecovery: row.inRecovery,
    now: row.now,
    flushLsn: formatLsn(parseLsn(row.flushLsn)),
    timeline: row.timeline === null ? undefined : Number.parseInt(row.timeline, 16),
  }
}
