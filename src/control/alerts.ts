/** Alerts as they are shown, what became of each, and what the rules know between two rounds. */
import { type Kysely, sql } from 'kysely'
import type { AlertSeverity } from '../monitor/alerts/notice.ts'
import type { ShownState } from '../monitor/alerts/shown.ts'
import type { ControlTables } from './database/schema.ts'
import { type Outgoing, recordNotices } from './outbox.ts'

type Db = Kysely<ControlTables>

export type AlertState = ShownState

/** Plain data: instants are ISO 8601 UTC. */
export interface StoredAlert {
  readonly key: string
  readonly rule: string
  readonly severity: AlertSeverity
  readonly state: AlertState
  readonly cluster: string
  readonly title: string
  readonly finding: string
  readonly effect: string
  readonly fix: string
  readonly since: string
  readonly resolvedAt?: string | undefined
  readonly acknowledgedBy?: string | undefined
  readonly acknowledgedUntil?: string | undefined
  readonly snoozedUntil?: string | undefined
  readonly inhibitedBy?: string | undefined
  readonly level?: number | undefined
  readonly incident: string
}

export interface AlertChange {
  readonly key: string
  readonly at: Date
  readonly state: AlertState
  readonly by?: string | undefined
  readonly note?: string | undefined
}

export interface AlertRound<S extends object> {
  readonly states: S
  /** Those that are new or have changed. */
  readonly alerts: readonly StoredAlert[]
  readonly outgoing: readonly Outgoing[]
  /** Keys of those that are gone without having been one. */
  readonly forgotten?: readonly string[] | undefined
  readonly by?: string | undefined
  readonly note?: string | undefined
}

/**
 * One round of the rules for a cluster: what they know is read, changed and written in one transaction, with the notices that tell of
 * it, so that nothing is told twice and nothing is lost. Two rounds of a cluster wait for each other.
 */
export async function changeAlerts<S extends object>(
  db: Db,
  { cluster, now }: { readonly cluster: string; readonly now: Date },
  decide: (states: S | undefined) => AlertRound<S> | undefined,
): Promise<AlertRound<S> | undefined> {
  return db.transaction().execute(async (tx) => {
    await sql`SELECT pg_advisory_xact_lock(hashtext(${`alerts of ${cluster}`}))`.execute(tx)
    const known = await tx.selectFrom('alerting').select('states').where('cluster', '=', cluster).executeTakeFirst()
    const round = decide(known?.states as S | undefined)
    if (!round) return undefined
    const states = JSON.stringify(round.states)
    await tx
      .insertInto('alerting')
      .values({ cluster, states })
      .onConflict((conflict) => conflict.column('cluster').doUpdateSet({ states }))
      .execute()
    for (const alert of round.alerts) await recordAlert(tx, alert, { now, by: round.by, note: round.note })
    const { forgotten = [] } = round
    if (forgotten.length > 0) await tx.deleteFrom('alert').where('key', 'in', forgotten).execute()
    await recordNotices(tx, round.outgoing)
    return round
  })
}

/** What the rules know of a cluster; undefined: nothing yet. */
export async function readAlertStates<S extends object>(db: Db, cluster: string): Promise<S | undefined> {
  const row = await db.selectFrom('alerting').select('states').where('cluster', '=', cluster).executeTakeFirst()
  return row?.states as S | undefined
}

async function recordAlert(
  tx: Db,
  alert: StoredAlert,
  { now, by, note }: { readonly now: Date; readonly by: string | undefined; readonly note: string | undefined },
): Promise<void> {
  const { key, cluster, state, severity } = alert
  const before = await tx.selectFrom('alert').select('state').where('key', '=', key).executeTakeFirst()
  const values = { cluster, state, severity, since: new Date(alert.since), body: JSON.stringify(alert) }
  await tx
    .insertInto('alert')
    .values({ key, ...values })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ ...values, changed_at: sql<Date>`now()` }))
    .execute()
  if (before?.state === state && by === undefined) return
  await tx
    .insertInto('alert_change')
    .values({ key, at: now, state, by: by ?? null, note: note ?? null })
    .execute()
}

export interface ListAlertsOptions {
  readonly cluster?: string | undefined
  readonly state?: AlertState | undefined
  readonly severity?: AlertSeverity | undefined
  /** Only older ones; the newest come first. */
  readonly before?: { readonly since: Date; readonly key: string } | undefined
  readonly limit: number
}

export async function listAlerts(db: Db, options: ListAlertsOptions): Promise<StoredAlert[]> {
  const { cluster, state, severity, before, limit } = options
  let query = db.selectFrom('alert').select('body').orderBy('since', 'desc').orderBy('key', 'desc').limit(limit)
  if (cluster !== undefined) query = query.where('cluster', '=', cluster)
  if (state !== undefined) query = query.where('state', '=', state)
  if (severity !== undefined) query = query.where('severity', '=', severity)
  if (before) query = query.where(sql<boolean>`(since, key) < (${before.since}, ${before.key})`)
  return (await query.execute()).map(({ body }) => body as StoredAlert)
}

export async function readAlert(
  db: Db,
  key: string,
): Promise<{ readonly alert: StoredAlert; readonly history: readonly AlertChange[] } | undefined> {
  const row = await db.selectFrom('alert').select('body').where('key', '=', key).executeTakeFirst()
  if (!row) return undefined
  const changes = await db
    .selectFrom('alert_change')
    .selectAll()
    .where('key', '=', key)
    .orderBy('id', 'desc')
    .limit(200)
    .execute()
  return {
    alert: row.body as StoredAlert,
    history: changes.map(({ at, state, by, note }) => ({
      key,
      at,
      state: state as AlertState,
      ...(by === null ? {} : { by }),
      ...(note === null ? {} : { note }),
    })),
  }
}

export type AlertCounts = Readonly<Record<AlertSeverity, number>>

/** Of each cluster, those that are open. */
export async function countOpenAlerts(db: Db): Promise<Map<string, AlertCounts>> {
  const rows = await db
    .selectFrom('alert')
    .select(['cluster', 'severity', sql<number>`count(*)::int`.as('count')])
    .where('state', 'not in', ['resolved', 'withdrawn', 'pending'])
    .groupBy(['cluster', 'severity'])
    .execute()
  const counts = new Map<string, AlertCounts>()
  for (const { cluster, severity, count } of rows) {
    const known = counts.get(cluster) ?? { critical: 0, warning: 0, info: 0 }
    counts.set(cluster, { ...known, [severity]: count })
  }
  return counts
}
