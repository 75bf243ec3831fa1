/** What is told at set times: each time is kept once, by one server, also when several come to it at the same moment. */
import type { Kysely } from 'kysely'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

export interface Appointment {
  /** Such as `digest`. */
  readonly name: string
  /** The last time that it was due. */
  readonly due: Date
  readonly now: Date
}

/**
 * Acts when `due` has not been kept yet, in the transaction that notes it as kept: what fails is not noted, and comes again. Of several
 * times that nobody kept, only the newest is left. What was due before anybody asked for the first time is not.
 * @param act told which time was kept before
 * @returns whether it has acted
 */
export async function keepAppointment(
  db: Db,
  { name, due, now }: Appointment,
  act: (tx: Db, before: Date) => Promise<void>,
): Promise<boolean> {
  const known = await db.selectFrom('appointment').select('kept_at').where('name', '=', name).executeTakeFirst()
  if (known && known.kept_at >= due) return false
  return db.transaction().execute(async (tx) => {
    await tx
      .insertInto('appointment')
      .values({ name, kept_at: now })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    const { kept_at: before } = await tx
      .selectFrom('appointment')
      .select('kept_at')
      .where('name', '=', name)
      .forUpdate()
      .executeTakeFirstOrThrow()
    if (before >= due) return false
    await act(tx, before)
    await tx.updateTable('appointment').set({ kept_at: due }).where('name', '=', name).execute()
    return true
  })
}
