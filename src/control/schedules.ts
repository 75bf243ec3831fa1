/** Since when servers keep each schedule of a cluster, and which of its runs they have put off. */
import type { Kysely } from 'kysely'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

/** A run whose time has come, and which waits until its server has less to do. */
export interface PutOffRun {
  /** Which run: when it was due, ISO 8601 UTC. */
  readonly at: string
  readonly since: string
  /** Then it begins anyway. */
  readonly until: string
  /** Each part of a sentence. */
  readonly because: readonly string[]
}

export interface KeptSchedule {
  readonly name: string
  readonly since: Date
  readonly putOff?: PutOffRun | undefined
}

export interface ScheduleDefinition {
  readonly name: string
  /** What makes it another schedule, under the same name, when it changes. */
  readonly definition: string
}

/** Notes those that are new, or not what they were; those that are gone are forgotten, and would be new again. */
export async function noteSchedules(
  db: Db,
  {
    cluster,
    schedules,
    now,
  }: { readonly cluster: string; readonly schedules: readonly ScheduleDefinition[]; readonly now: Date },
): Promise<KeptSchedule[]> {
  await db.transaction().execute(async (tx) => {
    let gone = tx.deleteFrom('schedule').where('cluster', '=', cluster)
    const names = schedules.map(({ name }) => name)
    if (names.length > 0) gone = gone.where('name', 'not in', names)
    await gone.execute()
    for (const { name, definition } of schedules) {
      await tx
        .insertInto('schedule')
        .values({ cluster, name, definition, since: now })
        .onConflict((conflict) =>
          conflict
            .columns(['cluster', 'name'])
            .doUpdateSet({ definition, since: now, put_off: null })
            .where('schedule.definition', '<>', definition),
        )
        .execute()
    }
  })
  return keptSchedules(db, cluster)
}

export async function keptSchedules(db: Db, cluster: string): Promise<KeptSchedule[]> {
  const rows = await db.selectFrom('schedule').selectAll().where('cluster', '=', cluster).orderBy('name').execute()
  return rows.map(({ name, since, put_off }) => ({
    name,
    since,
    ...(put_off === null ? {} : { putOff: put_off as PutOffRun }),
  }))
}

/** By name. */
export function sinceOf(kept: readonly KeptSchedule[]): Map<string, Date> {
  return new Map(kept.map(({ name, since }) => [name, since]))
}

/** Undefined: none is put off any more. */
export async function notePutOff(
  db: Db,
  { cluster, name }: { readonly cluster: string; readonly name: string },
  putOff: PutOffRun | undefined,
): Promise<void> {
  await db
    .updateTable('schedule')
    .set({ put_off: putOff === undefined ? null : JSON.stringify(putOff) })
    .where('cluster', '=', cluster)
    .where('name', '=', name)
    .execute()
}
