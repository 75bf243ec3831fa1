/** What the server says about our replication slot: how far behind it is, and how much room is left before it would be lost. */
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'

/** https://www.postgresql.org/docs/current/view-pg-replication-slots.html */
export type SlotWalStatus = 'reserved' | 'extended' | 'unreserved' | 'lost'

export interface SlotStatus {
  readonly exists: boolean
  /** A receiver is connected to it now. */
  readonly active: boolean
  readonly restartLsn?: Lsn | undefined
  /** WAL that the slot keeps on the server: from its restart position to the end of the log. */
  readonly lagBytes?: number | undefined
  readonly walStatus?: SlotWalStatus | undefined
  /** How much more the server may write before the slot could be lost; absent without max_slot_wal_keep_size. */
  readonly safeWalSizeBytes?: number | undefined
}

interface SlotRow {
  readonly active: boolean
  readonly restartLsn: string | null
  readonly lagBytes: string | null
  readonly walStatus: SlotWalStatus | null
  readonly safeWalSizeBytes: string | null
}

const QUERY = `
  select active, restart_lsn::text as "restartLsn", wal_status as "walStatus", safe_wal_size::text as "safeWalSizeBytes",
         pg_wal_lsn_diff(case when pg_is_in_recovery() then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                              else pg_current_wal_lsn() end, restart_lsn)::text as "lagBytes"
    from pg_replication_slots where slot_name = $1 and slot_type = 'physical'`

/**
 * @throws RetakeError `postgres.unreachable`, `postgres.auth`, `postgres.privilege`
 */
export async function readSlotStatus(
  target: ConnectionTarget,
  slot: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<SlotStatus> {
  await using sql = await openSql(target, {
    ...(options.signal ? { signal: options.signal } : {}),
    applicationName: 'retake status',
  })
  return await querySlotStatus(sql, slot)
}

export async function querySlotStatus(sql: SqlConnection, slot: string): Promise<SlotStatus> {
  const [row] = await sql.query<SlotRow>(QUERY, [slot])
  if (!row) return { exists: false, active: false }
  return {
    exists: true,
    active: row.active,
    ...(row.restartLsn === null ? {} : { restartLsn: parseLsn(row.restartLsn) }),
    ...(row.lagBytes === null ? {} : { lagBytes: Math.max(0, Number(row.lagBytes)) }),
    ...(row.walStatus === null ? {} : { walStatus: row.walStatus }),
    ...(row.safeWalSizeBytes === null ? {} : { safeWalSizeBytes: Number(row.safeWalSizeBytes) }),
  }
}
