/** The rules of alerts, applied to what was seen of a cluster; and what people do about an alert. */
import type { Kysely } from 'kysely'
import { changeAlerts, type StoredAlert } from '../control/alerts.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { listMaintenance } from '../control/maintenance.ts'
import { type ActionOutcome, acknowledge, snooze } from '../monitor/alerts/actions.ts'
import { evaluateAlerts } from '../monitor/alerts/evaluate.ts'
import { openMaintenance, type RegularMaintenance } from '../monitor/alerts/maintenance.ts'
import type { AlertPolicy } from '../monitor/alerts/policy.ts'
import type { Look } from '../monitor/alerts/rule.ts'
import { noticeAlert, shownState } from '../monitor/alerts/shown.ts'
import { type AlertMemory, type ClusterAlerts, noAlerts } from '../monitor/alerts/state.ts'

type Db = Kysely<ControlTables>

export interface JudgeOptions {
  readonly report: Look
  readonly policy: AlertPolicy
  /** Besides what is on record. Default: none. */
  readonly maintenance?: readonly RegularMaintenance[] | undefined
  readonly now: Date
}

export async function judgeReport(db: Db, { report, policy, maintenance = [], now }: JudgeOptions): Promise<void> {
  const { cluster } = report
  const windows = await listMaintenance(db, { cluster, endsAfter: now })
  const quiet = [
    ...windows.map(({ rules, from, until, endedEarlyAt }) => ({ rules, from, until: endedEarlyAt ?? until })),
    ...openMaintenance(maintenance, { cluster, now }),
  ]
  await changeAlerts<ClusterAlerts>(db, { cluster, now }, (states) => {
    const { changed, ...round } = evaluateAlerts({ report, states, policy, quiet, now })
    return { ...round, alerts: changed.map((alert) => stored(alert, cluster, now)) }
  })
}

export interface PersonsAction {
  readonly cluster: string
  readonly key: string
  readonly by: string
  readonly note?: string | undefined
  readonly now: Date
}

/** Undefined: it is not there, or over. */
export function acknowledgeAlert(
  db: Db,
  { policy, ...action }: PersonsAction & { readonly policy: AlertPolicy },
): Promise<StoredAlert | undefined> {
  return act(db, action, (states) => acknowledge(states, { ...action, policy }))
}

export function snoozeAlert(
  db: Db,
  { minutes, ...action }: PersonsAction & { readonly minutes: number },
): Promise<StoredAlert | undefined> {
  return act(db, action, (states) => snooze(states, { ...action, minutes }))
}

async function act(
  db: Db,
  { cluster, by, note, now }: PersonsAction,
  decide: (states: ClusterAlerts) => ActionOutcome | undefined,
): Promise<StoredAlert | undefined> {
  const round = await changeAlerts<ClusterAlerts>(db, { cluster, now }, (states = noAlerts) => {
    const outcome = decide(states)
    if (!outcome) return undefined
    const { alert, ...rest } = outcome
    return { ...rest, alerts: [stored(alert, cluster, now)], by, note }
  })
  return round?.alerts[0]
}

function stored(alert: AlertMemory, cluster: string, now: Date): StoredAlert {
  const { acknowledged, snoozedUntil, inhibitedBy, told, incident } = alert
  return {
    ...noticeAlert(alert, cluster),
    state: shownState(alert, now),
    ...(acknowledged ? { acknowledgedUntil: acknowledged.until } : {}),
    ...(snoozedUntil === undefined ? {} : { snoozedUntil }),
    ...(inhibitedBy === undefined ? {} : { inhibitedBy }),
    ...(told ? { level: told.level } : {}),
    incident: incident ?? alert.key,
  }
}
