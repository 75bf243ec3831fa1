/** What servers saw of the clusters: the last report of each, and every score. */
import type { Kysely } from 'kysely'
import type { HealthReport } from '../monitor/read-health.ts'
import type { ControlTables } from './database/schema.ts'

type Db = Kysely<ControlTables>

/** Scores are kept for so long: a year can be compared with the one before. */
const KEEP_DAYS = 800
const DAY_MS = 86_400_000

export interface ScoreRecord {
  readonly at: Date
  readonly formula: number
  /** Undefined: too little was known for a number. */
  readonly value?: number | undefined
  readonly band: string
  readonly verdict: HealthReport['verdict']
}

export async function recordLook(db: Db, report: HealthReport): Promise<void> {
  const { cluster, score, verdict } = report
  const at = new Date(report.at)
  const text = JSON.stringify(report)
  await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('look')
      .values({ cluster, at, report: text })
      .onConflict((conflict) => conflict.column('cluster').doUpdateSet({ at, report: text }))
      .execute()
    await tx
      .insertInto('health')
      .values({ cluster, at, formula: score.formula, value: score.value ?? null, band: score.band, verdict })
      .onConflict((conflict) => conflict.columns(['cluster', 'at']).doNothing())
      .execute()
    await tx
      .deleteFrom('health')
      .where('cluster', '=', cluster)
      .where('at', '<', new Date(at.getTime() - KEEP_DAYS * DAY_MS))
      .execute()
  })
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

export async function listScores(
  db: Db,
  { cluster, from, limit }: { readonly cluster: string; readonly from: Date; readonly limit: number },
): Promise<ScoreRecord[]> {
  const rows = await db
    .selectFrom('health')
    .selectAll()
    .where('cluster', '=', cluster)
    .where('at', '>=', from)
    .orderBy('at')
    .limit(limit)
    .execute()
  return rows.map(({ at, formula, value, band, verdict }) => ({
    at,
    formula,
    ...(value === null ? {} : { value }),
    band,
    verdict: verdict as HealthReport['verdict'],
  }))
}
