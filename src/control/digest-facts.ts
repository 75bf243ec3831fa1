/** What the control database knows of a stretch of time: runs that ended, scores of then, alerts that are open or were resolved. */
import { type Kysely, sql } from 'kysely'
import type { StoredAlert } from './alerts.ts'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

export interface EndedRuns {
  readonly cluster: string
  readonly task: string
  readonly outcome: 'succeeded' | 'failed' | 'cancelled'
  readonly count: number
}

export async function countEndedRuns(db: Db, from: Date): Promise<EndedRuns[]> {
  const rows = await db
    .selectFrom('run')
    .select(['cluster', 'task', 'state', sql<number>`count(*)::int`.as('count')])
    // An ended run is never changed; the first condition has an index.
    .where('changed_at', '>=', from)
    .where('ended_at', '>=', from)
    .where('state', 'in', ['succeeded', 'failed', 'cancelled'])
    .groupBy(['cluster', 'task', 'state'])
    .orderBy('cluster')
    .orderBy('task')
    .orderBy('state', 'desc')
    .execute()
  return rows.map(({ cluster, task, state, count }) => ({
    cluster,
    task,
    outcome: state as EndedRuns['outcome'],
    count,
  }))
}

export interface ScoreThen {
  readonly value?: number | undefined
  readonly formula: number
}

/** Scores are written down at least once an hour while somebody looks. */
const NEAR = sql`interval '2 hours'`

/** The score of each cluster at that moment; of one at which nobody looked then there is none. */
export async function scoresAt(
  db: Db,
  { clusters, at }: { readonly clusters: readonly string[]; readonly at: Date },
): Promise<Map<string, ScoreThen>> {
  const { rows } = await sql<{ cluster: string; value: number | null; formula: number }>`
    SELECT wanted.cluster, score.value, score.formula
    FROM unnest(${[...clusters]}::text[]) AS wanted (cluster)
    CROSS JOIN LATERAL (
      SELECT value, formula FROM retake.health AS one
      WHERE one.cluster = wanted.cluster AND one.at <= ${at} AND one.at >= ${at}::timestamptz - ${NEAR}
      ORDER BY one.at DESC LIMIT 1) AS score`.execute(db)
  return new Map(
    rows.map(({ cluster, value, formula }) => [cluster, { formula, ...(value === null ? {} : { value }) }]),
  )
}

export interface AlertsSince {
  readonly open: readonly StoredAlert[]
  /** Open ones that others explain. */
  readonly explained: number
  /** The newest first. */
  readonly resolved: readonly StoredAlert[]
}

export async function alertsSince(db: Db, from: Date): Promise<AlertsSince> {
  const open = await db
    .selectFrom('alert')
    .select('body')
    .where('state', 'not in', ['resolved', 'withdrawn', 'pending'])
    .execute()
  const ended = await db
    .selectFrom('alert')
    .select('body')
    .where('state', '=', 'resolved')
    .where(sql<boolean>`body ->> 'resolvedAt' >= ${from.toISOString()}`)
    .execute()
  const alerts = open.map(({ body }) => body as StoredAlert)
  const resolvedAt = (alert: StoredAlert) => Date.parse(alert.resolvedAt ?? '')
  return {
    open: alerts.filter(({ state }) => state !== 'inhibited'),
    explained: alerts.filter(({ state }) => state === 'inhibited').length,
    resolved: ended.map(({ body }) => body as StoredAlert).sort((left, right) => resolvedAt(right) - resolvedAt(left)),
  }
}
