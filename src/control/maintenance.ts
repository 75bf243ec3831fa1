/** Times in which nobody is told of alerts. */
import type { Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'
import { randomId } from '../base/ids.ts'
import type { ControlTables, MaintenanceTable } from './database/schema.ts'

type Db = Kysely<ControlTables>

export interface MaintenanceWindow {
  readonly id: string
  /** Undefined: of all. */
  readonly cluster?: string | undefined
  /** Undefined: all. */
  readonly rules?: readonly string[] | undefined
  readonly from: Date
  readonly until: Date
  readonly reason: string
  readonly createdBy: string
  readonly createdAt: Date
  readonly endedEarlyAt?: Date | undefined
}

export type NewMaintenanceWindow = Omit<MaintenanceWindow, 'id' | 'createdAt' | 'endedEarlyAt'>

export async function createMaintenance(db: Db, wanted: NewMaintenanceWindow): Promise<MaintenanceWindow> {
  const { cluster = null, rules, from, until, reason, createdBy } = wanted
  const row = await db
    .insertInto('maintenance')
    .values({
      id: randomId(8),
      cluster,
      rules: rules ? JSON.stringify(rules) : null,
      begins_at: from,
      ends_at: until,
      reason,
      created_by: createdBy,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return windowOf(row)
}

/** Undefined: there is none, or it is over. */
export async function endMaintenance(db: Db, id: string): Promise<MaintenanceWindow | undefined> {
  const row = await db
    .updateTable('maintenance')
    .set({ ended_early_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where('ended_early_at', 'is', null)
    .where('ends_at', '>', sql<Date>`now()`)
    .returningAll()
    .executeTakeFirst()
  return row && windowOf(row)
}

export async function readMaintenance(db: Db, id: string): Promise<MaintenanceWindow | undefined> {
  const row = await db.selectFrom('maintenance').selectAll().where('id', '=', id).executeTakeFirst()
  return row && windowOf(row)
}

/** Of a cluster, those of all are among them. */
export async function listMaintenance(
  db: Db,
  { cluster, endsAfter }: { readonly cluster?: string | undefined; readonly endsAfter?: Date | undefined } = {},
): Promise<MaintenanceWindow[]> {
  let query = db.selectFrom('maintenance').selectAll()
  if (cluster !== undefined)
    query = query.where((at) => at.or([at('cluster', '=', cluster), at('cluster', 'is', null)]))
  if (endsAfter) query = query.where('ends_at', '>', endsAfter)
  return (await query.execute()).map(windowOf)
}

function windowOf(row: Selectable<MaintenanceTable>): MaintenanceWindow {
  return {
    id: row.id,
    ...(row.cluster === null ? {} : { cluster: row.cluster }),
    ...(row.rules === null ? {} : { rules: row.rules as unknown as readonly string[] }),
    from: row.begins_at,
    until: row.ends_at,
    reason: row.reason,
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...(row.ended_early_at === null ? {} : { endedEarlyAt: row.ended_early_at }),
  }
}
