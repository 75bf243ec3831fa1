/** What servers saw of the clusters: the last report of each, and how the score went. */
import type { Kysely, Selectable } from 'kysely'
import type { Band } from '../monitor/health/score.ts'
import type { MetricFamily } from '../monitor/metrics/families.ts'
import type { HealthReport } from '../monitor/read-health.ts'
import type { ControlTables, HealthTable } from './database/schema.ts'

type Db = Kysely<ControlTables>

/** Scores are kept for so long: a year can be compared with the one before. */
const KEEP_DAYS = 800
const DAY_MS = 86_400_000
/** A score that stays the same is written down once an hour: a year of many clusters stays small, and no change is lost. */
const SAME_FOR_MS = 3_600_000

export interface ScoreRecord {
  readonly at: Date
  readonly formula: number
  /** Undefined: too little was known for a number. */
  readonly value?: number | undefined
  readonly band: Band
  readonly verdict: HealthReport['verdict']
  readonly points: number
  /** Names of the caps that held. */
  readonly caps: readonly string[]
  readonly unknownBecause?: string | undefined
}

export async function recordLook(
  db: Db,
  { report, metrics }: { readonly report: HealthReport; readonly metrics: readonly MetricFamily[] },
): Promise<void> {
  const { cluster, score, verdict } = report
  const at = new Date(report.at)
  const text = JSON.stringify(report)
  const families = JSON.stringify(metrics)
  const caps = JSON.stringify(score.caps.map(({ name }) => name))
  const seen = {
    formula: score.formula,
    value: score.value ?? null,
    band: score.band,
    verdict,
    points: score.points,
    unknown_because: score.unknownBecause ?? null,
  }
  await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('look')
      .values({ cluster, at, report: text, metrics: families })
      .onConflict((conflict) => conflict.column('cluster').doUpdateSet({ at, report: text, metrics: families }))
      .execute()
    const last = await tx
      .selectFrom('health')
      .selectAll()
      .where('cluster', '=', cluster)
      .orderBy('at', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (last && isSame(last, { ...seen, caps }) && at.getTime() - last.at.getTime() < SAME_FOR_MS) return
    await tx
      .insertInto('health')
      .values({ cluster, at, ...seen, caps })
      .onConflict((conflict) => conflict.columns(['cluster', 'at']).doNothing())
      .execute()
    await tx
      .deleteFrom('health')
      .where('cluster', '=', cluster)
      .where('at', '<', new Date(at.getTime() - KEEP_DAYS * DAY_MS))
      .execute()
  })
}

type Seen = Pick<Selectable<HealthTable>, 'formula' | 'value' | 'band' | 'verdict' | 'points' | 'unknown_because'>

function isSame(last: Selectable<HealthTable>, { caps, ...seen }: Seen & { readonly caps: string }): boolean {
  const { formula, value, band, verdict, points, unknown_because } = last
  const then = { formula, value, band, verdict, points, unknown_because }
  return JSON.stringify([then, last.caps]) === JSON.stringify([seen, JSON.parse(caps)])
}

/** The last report of a cluster; how old it is stands in it. */
export async function lastLook(db: Db, cluster: string): Promise<HealthReport | undefined> {
  const row = await db.selectFrom('look').select('report').where('cluster', '=', cluster).executeTakeFirst()
  return row?.report as HealthReport | undefined
}

export async function lastLooks(db: Db): Promise<HealthReport[]> {
  const rows = await db.selectFrom('look').select('report').orderBy('cluster').execute()
  return rows.map(({ report }) => report as HealthReport)
}

/** The metrics of every cluster, as its last look found them. */
export async function lastMetrics(db: Db): Promise<(readonly MetricFamily[])[]> {
  const rows = await db.selectFrom('look').select('metrics').orderBy('cluster').execute()
  return rows.map(({ metrics }) => metrics as unknown as readonly MetricFamily[])
}

export interface ListScoresOptions {
  readonly cluster: string
  readonly from?: Date | undefined
  readonly until?: Date | undefined
  /** Only older ones; the newest come first. */
  readonly before?: Date | undefined
  readonly limit: number
}

export async function listScores(db: Db, options: ListScoresOptions): Promise<ScoreRecord[]> {
  const { cluster, from, until, before, limit } = options
  let query = db.selectFrom('health').selectAll().where('cluster', '=', cluster).orderBy('at', 'desc').limit(limit)
  if (from) query = query.where('at', '>=', from)
  if (until) query = query.where('at', '<=', until)
  if (before) query = query.where('at', '<', before)
  return (await query.execute()).map(({ at, formula, value, band, verdict, points, caps, unknown_because }) => ({
    at,
    formula,
    ...(value === null ? {} : { value }),
    band: band as Band,
    verdict: verdict as HealthReport['verdict'],
    points,
    caps: caps as unknown as readonly string[],
    ...(unknown_because === null ? {} : { unknownBecause: unknown_because }),
  }))
}
