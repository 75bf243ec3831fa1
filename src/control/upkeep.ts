/**
 * What the control database forgets, so that it stays small for ever. Never what has not ended; and never the last run of a schedule, by
 * whose id servers know that it was done, however long ago that is.
 */
import { type Kysely, sql } from 'kysely'
import type { AlertState } from './alerts.ts'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

const DAY_MS = 86_400_000
/** A year can be compared with the one before; of runs, and of what was told. */
const KEPT_DAYS = 400
/** Of each cluster, at most so many. */
const RUNS_KEPT = 10_000
/** Whatever their number: longer than workflows are remembered, and than an action can be asked for again. */
const RUNS_RECENT_DAYS = 30
const OVER: AlertState[] = ['resolved', 'withdrawn']
/** What became of alerts that were none in the end. */
const ORPHANS_KEPT_DAYS = 30
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
           AND (ended_at < ${before(KEPT_DAYS)} OR (place > ${kept} AND ended_at < ${before(RUNS_RECENT_DAYS)}))
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

/** What is over: its notices, their deliveries, what became of each alert, and canaries. @returns how many notices and alerts */
export async function forgetTold(db: Db, now: Date): Promise<number> {
  const before = (days: number) => new Date(now.getTime() - days * DAY_MS)
  const notices = await repeatedly(() => forgetNotices(db, before(KEPT_DAYS)))
  await db.deleteFrom('canary').where('at', '<', before(KEPT_DAYS)).where(isOutdatedCanary).execute()
  const alerts = await db
    .deleteFrom('alert')
    .where('state', 'in', OVER)
    .where('changed_at', '<', before(KEPT_DAYS))
    .executeTakeFirst()
  await forgetChanges(db, { before: before(KEPT_DAYS), orphansBefore: before(ORPHANS_KEPT_DAYS) })
  return notices + Number(alerts.numDeletedRows)
}

/** Not what is on its way, or belongs to an incident that goes on; nor what shows when a channel last worked. */
async function forgetNotices(db: Db, before: Date): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM retake.notice WHERE id IN (
      SELECT n.id FROM retake.notice AS n
       WHERE n.at < ${before}
         AND NOT EXISTS (SELECT FROM retake.delivery AS d WHERE d.notice = n.id AND d.next_at IS NOT NULL)
         AND NOT EXISTS (
           SELECT FROM retake.alert AS a
            WHERE a.state NOT IN (${sql.join(OVER)}) AND a.body ->> 'incident' = n.body ->> 'incident')
         AND NOT EXISTS (
           SELECT FROM retake.delivery AS d
            WHERE d.notice = n.id AND d.delivered_at = (
              SELECT max(last.delivered_at) FROM retake.delivery AS last WHERE last.channel = d.channel))
       LIMIT ${AT_A_TIME})`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

const isOutdatedCanary = sql<boolean>`EXISTS (
  SELECT FROM retake.canary AS later WHERE later.channel = canary.channel AND later.at > canary.at
    AND (canary.confirmed_at IS NULL OR later.confirmed_at IS NOT NULL))`

async function forgetChanges(
  db: Db,
  { before, orphansBefore }: { readonly before: Date; readonly orphansBefore: Date },
): Promise<void> {
  await repeatedly(async () => {
    const { numAffectedRows } = await sql`
      DELETE FROM retake.alert_change WHERE id IN (
        SELECT c.id FROM retake.alert_change AS c LEFT JOIN retake.alert AS a ON a.key = c.key
         WHERE (a.key IS NULL AND c.at < ${orphansBefore})
            OR (c.at < ${before} AND (a.state IN (${sql.join(OVER)}) OR c.at < a.since))
         LIMIT ${AT_A_TIME})`.execute(db)
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
