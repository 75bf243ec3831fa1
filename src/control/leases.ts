/** Which server looks after what: one at a time, for a limited time, by the database's clock. */
import { type Kysely, sql } from 'kysely'
import type { ControlTables } from './database/schema.ts'

/** Longer than a server takes to be declared dead would leave things alone; shorter than two heartbeats would be lost by a pause. */
export const LEASE_MS = 20_000

/**
 * Takes, or keeps, as many of these leases as are free. What is held by a server that lives is left to it.
 * @returns the names that `server` now holds
 */
export async function holdLeases(
  db: Kysely<ControlTables>,
  { server, names }: { readonly server: string; readonly names: readonly string[] },
): Promise<Set<string>> {
  if (names.length === 0) return new Set()
  const expires_at = sql<Date>`now() + make_interval(secs => ${LEASE_MS / 1000})`
  // In one order, so that two servers do not wait for each other.
  const values = [...names].sort().map((name) => ({ name, server, expires_at }))
  const held = await db
    .insertInto('lease')
    .values(values)
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ server, expires_at })
        .where((where) =>
          where.or([where('lease.server', '=', server), where('lease.expires_at', '<', sql<Date>`now()`)]),
        ),
    )
    .returning('name')
    .execute()
  return new Set(held.map(({ name }) => name))
}

/** Those of the names that nobody holds. */
export async function findFree(db: Kysely<ControlTables>, names: readonly string[]): Promise<string[]> {
  const held = await db.selectFrom('lease').select('name').where('expires_at', '>=', sql<Date>`now()`).execute()
  const taken = new Set(held.map(({ name }) => name))
  return names.filter((name) => !taken.has(name))
}

export async function releaseLeases(
  db: Kysely<ControlTables>,
  { server, names }: { readonly server: string; readonly names: readonly string[] },
): Promise<void> {
  if (names.length === 0) return
  await db.deleteFrom('lease').where('server', '=', server).where('name', 'in', names).execute()
}
