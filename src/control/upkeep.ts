/**
 * What the control database forgets, so that it stays small for ever. Never what has not ended; and never the last run of a schedule, by
 * whose id servers know that it was done, however long ago that is.
 */
import { type Kysely, sql } from 'kysely'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

const DAY_MS = 86_400_000
/** A year can be compared with the one before. */
const RUNS_KEPT_DAYS = 400
/** Of each cluster, at most so many. */
const RUNS_KEPT = 10_000
/** Whatever their number: longer than workflows are remembered, and than an action can be asked for again. */
const RUNS_RECENT_DAYS = 30
/** Every score is kept for so long; then the worst of each day (UTC), and unknown is worse than any number. */
const SCORES_KEPT_DAYS = 30
/** One statement deletes so many: others must not wait for it for long. */
const AT_A_TIME = 5_000

/** Ended workflows are kept for so long; what became of them stands in their runs. */
export const WORKFLOWS_KEPT_MS = 7 * DAY_MS

/** True for one caller in each interval, by the database's clock: whoever it is, does the chore. */
export async function claimChore(
  db: Db,
  { name, everyMs }: { readonly name: string; readonly everyMs: number },
): Promise<boolean> {
  const claimed = await db
    .insertInto('chore')
    .values({ name })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ claimed_at: sql<Date>`now()` })
        .where('chore.claimed_at', '<=', sql<Date>`now() - make_interval(secs => ${everyMs / 1000})`),
    )
    .returning('name')
    .execute()
  return claimed.length > 0
}

/** @returns how many were forgotten */
export async function forgetRuns(db: Db, now: Date, kept: number = RUNS_KEPT): Promise<number> {
  const before = (days: number) => new Date(now.getTime() - days * DAY_MS)
  return repeatedly(async () => {
    const { numAffectedRows } = await sql`
      DELETE FROM retake.run WHERE id IN (
        SELECT id FROM (
          SELECT id, state, due_at, ended_at,
                 row_number() OVER (PARTITION BY cluster ORDER BY created_at DESC, id DESC) AS place,
                 max(due_at) OVER (PARTITION BY cluster, started_by) AS newest_due_at
            FROM retake.run) ranked
         WHERE state IN ('succeeded', 'failed', 'cancelled')
           AND (due_at IS NULL OR due_at < newest_due_at)
           AND (ended_at < ${before(RUNS_KEPT_DAYS)} OR (place > ${kept} AND ended_at < ${before(RUNS_RECENT_DAYS)}))
         LIMIT ${AT_A_TIME})`.execute(db)
    return Number(numAffectedRows ?? 0n)
  })
}

/** @returns how many were forgotten */
export async function thinScores(db: Db, now: Date): Promise<number> {
  const until = new Date(Math.floor(now.getTime() / DAY_MS - SCORES_KEPT_DAYS) * DAY_MS)
  return repeatedly(async () => {
    const { numAffectedRows } = await sql`
      DELETE FROM retake.health WHERE (cluster, at) IN (
        SELECT cluster, at FROM (
          SELECT cluster, at,
                 row_number() OVER (
                   PARTITION BY cluster, date_trunc('day', at AT TIME ZONE 'UTC') ORDER BY value NULLS FIRST, at) AS place
            FROM retake.health WHERE at < ${until}) ranked
         WHERE place > 1 LIMIT ${AT_A_TIME})`.execute(db)
    return Number(numAffectedRows ?? 0n)
  })
}

async function repeatedly(turn: () => Promise<number>): Promise<number> {
  let all = 0
  for (;;) {
    const count = await turn()
    all += count
    if (count < AT_A_TIME) return all
  }
}
