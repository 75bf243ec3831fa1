/** Tells once a day how everything is. */
import type { Kysely } from 'kysely'
import type { StoredAlert } from '../control/alerts.ts'
import { keepAppointment } from '../control/appointments.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { alertsSince, countEndedRuns, scoresAt } from '../control/digest-facts.ts'
import { lastLooks } from '../control/health.ts'
import { recordNotices } from '../control/outbox.ts'
import { configuredSchedules } from '../engine/schedules.ts'
import type { NoticeAlert } from '../monitor/alerts/notice.ts'
import { composeDigest } from '../monitor/regular/compose-digest.ts'
import type { DigestCluster } from '../monitor/regular/digest-cluster.ts'
import { lastDueOf, type RegularNotice } from '../monitor/regular/plan.ts'
import { dueAfter } from '../schedules/due.ts'
import { scheduleOf } from '../schedules/schedule.ts'
import type { ManagedCluster } from './managed-cluster.ts'

type Db = Kysely<ControlTables>

export interface DigestOptions {
  readonly plan: RegularNotice
  readonly clusters: readonly Pick<ManagedCluster, 'name' | 'options'>[]
  /** A look that is older says nothing of now. */
  readonly staleAfterMs: number
  readonly now: Date
}

const DAY_MS = 86_400_000
/** After a longer time without a server nobody reads what happened before. */
const LONGEST_MS = 7 * DAY_MS

/**
 * Puts the digest that is due into the outbox, unless it is there. It tells of the last day, and of more when there was none for longer.
 * @returns whether it did
 */
export async function tellDigest(db: Db, options: DigestOptions): Promise<boolean> {
  const { plan, now } = options
  const due = lastDueOf(plan, now)
  if (!due) return false
  return keepAppointment(db, { name: 'digest', due, now }, async (tx, before) => {
    const fromMs = Math.min(now.getTime() - DAY_MS, before.getTime())
    const from = new Date(Math.max(fromMs, now.getTime() - LONGEST_MS))
    const { open, resolved, explained } = await alertsSince(tx, from)
    const notice = composeDigest({
      due,
      now,
      from,
      zone: plan.zone,
      staleAfterMs: options.staleAfterMs,
      clusters: await gatherClusters(tx, { ...options, from }),
      open: open.map(noticeAlertOf),
      resolved: resolved.map(noticeAlertOf),
      explained,
    })
    await recordNotices(tx, [{ notice, channels: plan.channels }])
  })
}

async function gatherClusters(
  db: Db,
  { clusters, now, from }: DigestOptions & { readonly from: Date },
): Promise<DigestCluster[]> {
  const names = clusters.map(({ name }) => name)
  const looks = new Map((await lastLooks(db)).map((report) => [report.cluster, report]))
  const scores = await scoresAt(db, { clusters: names, at: new Date(now.getTime() - DAY_MS) })
  const runs = await countEndedRuns(db, from)
  return clusters.map((cluster) => ({
    name: cluster.name,
    report: looks.get(cluster.name),
    dayBefore: scores.get(cluster.name),
    runs: runs.filter((one) => one.cluster === cluster.name),
    next: nextRuns(cluster, now),
  }))
}

function nextRuns({ name, options }: Pick<ManagedCluster, 'name' | 'options'>, now: Date): DigestCluster['next'] {
  return configuredSchedules({ schedules: options.schedules })
    .flatMap((config) => {
      const { value } = dueAfter(scheduleOf(config), { cluster: name, after: now }).next()
      return value ? [{ name: config.name, at: value.startAt }] : []
    })
    .sort((left, right) => left.at.getTime() - right.at.getTime())
}

function noticeAlertOf(alert: StoredAlert): NoticeAlert {
  const { key, rule, severity, cluster, title, finding, effect, fix, since, resolvedAt, acknowledgedBy } = alert
  return {
    key,
    rule,
    severity,
    cluster,
    title,
    finding,
    effect,
    fix,
    since,
    ...(resolvedAt === undefined ? {} : { resolvedAt }),
    ...(acknowledgedBy === undefined ? {} : { acknowledgedBy }),
  }
}
