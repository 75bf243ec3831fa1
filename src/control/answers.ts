/** What actions were answered, by the key with which they may be asked for again. */
import { type Kysely, sql } from 'kysely'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

export interface GivenAnswer {
  readonly status: number
  readonly body: string
}

export type Claim =
  | { readonly state: 'claimed' | 'working' | 'other' }
  | { readonly state: 'answered'; readonly answer: GivenAnswer }

/** Longer than any request takes: a claim that is older was lost with its server. */
const LOST_AFTER = sql<Date>`now() - interval '2 minutes'`
const KEPT_SINCE = sql<Date>`now() - interval '2 days'`

/** One statement decides: of many at the same time, one is given `claimed`. */
export async function claimAnswer(
  db: Db,
  { key, fingerprint }: { readonly key: string; readonly fingerprint: string },
): Promise<Claim> {
  const claimed = await db
    .insertInto('answer')
    .values({ key, fingerprint, status: null })
    .onConflict((conflict) =>
      conflict
        .column('key')
        .doUpdateSet({ fingerprint, claimed_at: sql<Date>`now()` })
        .where('answer.status', 'is', null)
        .where('answer.claimed_at', '<', LOST_AFTER),
    )
    .returning('key')
    .execute()
  if (claimed.length > 0) return { state: 'claimed' }
  const row = await db.selectFrom('answer').selectAll().where('key', '=', key).executeTakeFirst()
  // It was released between the two looks.
  if (!row) return claimAnswer(db, { key, fingerprint })
  if (row.fingerprint !== fingerprint) return { state: 'other' }
  if (row.status === null) return { state: 'working' }
  return { state: 'answered', answer: { status: row.status, body: row.body ?? '' } }
}

export async function settleAnswer(db: Db, key: string, { status, body }: GivenAnswer): Promise<void> {
  await db.updateTable('answer').set({ status, body }).where('key', '=', key).execute()
  await db.deleteFrom('answer').where('claimed_at', '<', KEPT_SINCE).execute()
}

export async function releaseAnswer(db: Db, key: string): Promise<void> {
  await db.deleteFrom('answer').where('key', '=', key).where('status', 'is', null).execute()
}
