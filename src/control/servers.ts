/** The servers that share a control database: each says that it lives, and each sees which ones do not any more. */
import { type Kysely, sql } from 'kysely'
import { currentProcess, hasCertainlyEnded, type ProcessIdentity } from '../base/process-identity.ts'
import type { ControlTables } from './database/schema.ts'

/** A server that was not seen for so long is dead: its leases end, and its runs are taken over. */
export const DEAD_AFTER_MS = 30_000
/** How often a server says that it lives. */
export const HEARTBEAT_MS = 5_000

type Db = Kysely<ControlTables>

export interface ServerRecord {
  readonly id: string
  readonly identity: ProcessIdentity
  readonly version: string
  readonly startedAt: Date
  readonly seenAt: Date
}

export async function registerServer(db: Db, server: { readonly id: string; readonly version: string }): Promise<void> {
  const { id, version } = server
  await db
    .insertInto('server')
    .values({ id, version, identity: JSON.stringify(currentProcess()) })
    .execute()
}

/** False: others took this server for dead, and have its work. */
export async function sayAlive(db: Db, id: string): Promise<boolean> {
  const result = await db
    .updateTable('server')
    .set({ seen_at: sql<Date>`now()` })
    .where('id', '=', id)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function forgetServer(db: Db, id: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx.deleteFrom('lease').where('server', '=', id).execute()
    await tx.deleteFrom('server').where('id', '=', id).execute()
  })
}

export async function listServers(db: Db): Promise<ServerRecord[]> {
  const rows = await db.selectFrom('server').selectAll().orderBy('started_at').execute()
  return rows.map(({ id, identity, version, started_at, seen_at }) => ({
    id,
    identity: identity as ProcessIdentity,
    version,
    startedAt: started_at,
    seenAt: seen_at,
  }))
}

/** The others have ended: certainly, as this machine can tell of its own processes, or by their silence, on the database's clock. */
export async function livingServers(db: Db): Promise<Set<string>> {
  const isSilent = sql<boolean>`seen_at < now() - make_interval(secs => ${DEAD_AFTER_MS / 1000})`
  const rows = await db
    .selectFrom('server')
    .select(['id', 'identity', isSilent.as('isSilent')])
    .execute()
  const isDead = (row: (typeof rows)[number]) => row.isSilent || hasCertainlyEnded(row.identity as ProcessIdentity)
  return new Set(rows.filter((row) => !isDead(row)).map(({ id }) => id))
}

/** Takes the dead off the list, and their leases with them. */
export async function buryServers(db: Db, living: ReadonlySet<string>): Promise<void> {
  const servers = await db.selectFrom('server').select('id').execute()
  const dead = servers.filter(({ id }) => !living.has(id)).map(({ id }) => id)
  for (const id of dead) await forgetServer(db, id)
}
