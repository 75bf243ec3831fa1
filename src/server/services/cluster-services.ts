/** What is known of clusters: stored looks, and the repository where somebody asks for what it holds. */

import type { ChangeFeed } from '../../api/change-feed.ts'
import type { Cluster, ClusterEvent } from '../../api/contract/clusters.ts'
import { decodeCursor, encodeCursor, takePage } from '../../api/pages.ts'
import type { ClusterServices } from '../../api/services.ts'
import { countOpenAlerts } from '../../control/alerts.ts'
import { lastLook, lastLooks, listScores } from '../../control/health.ts'
import { countOpenRuns } from '../../control/runs.ts'
import { type KeptSchedule, keptSchedules, sinceOf } from '../../control/schedules.ts'
import { listBackups } from '../../engine/backups.ts'
import { readSchedules, type ScheduleView } from '../../engine/schedules.ts'
import { readStatus } from '../../engine/status.ts'
import { readWindow } from '../../engine/window.ts'
import { resultOf } from '../../monitor/checks/result.ts'
import type { HealthReport } from '../../monitor/read-health.ts'
import type { ManagedCluster } from '../managed-cluster.ts'
import type { ServiceParts } from './parts.ts'

export function clusterServices(parts: ServiceParts, changes: ChangeFeed<NamedEvent>): ClusterServices {
  const { db, clusters, now, staleAfterMs } = parts
  const open = async (name: string) => clusters.get(name)?.open()
  const describe = async (names: readonly ManagedCluster[]): Promise<Cluster[]> => {
    const [looks, runs, alerts] = await Promise.all([lastLooks(db), countOpenRuns(db), countOpenAlerts(db)])
    const lookOf = new Map(looks.map((look) => [look.cluster, look]))
    return names.map(({ name, options }) => ({
      name,
      provider: options.supabaseProject === undefined ? 'postgres' : 'supabase',
      ...summaryOf(lookOf.get(name), { now: now(), staleAfterMs }),
      alerts: alerts.get(name) ?? { critical: 0, warning: 0, info: 0 },
      runs: runs.get(name) ?? 0,
    }))
  }
  return {
    listClusters: async (page) =>
      takePage(await describe([...clusters.values()]), { ...page, keyOf: ({ name }) => [name], order: 'ascending' }),
    readCluster: async (name) => {
      const cluster = clusters.get(name)
      return cluster && (await describe([cluster]))[0]
    },
    readStatus: async (name, { signal }) => {
      const retake = await open(name)
      return retake && readStatus(retake, { signal })
    },
    readHealth: async (name) => (clusters.has(name) ? lastLook(db, name) : undefined),
    listScores: async (name, { cursor, limit, from, until }) => {
      if (!clusters.has(name)) return undefined
      const [before] = cursor === undefined ? [] : decodeCursor(cursor)
      const found = await listScores(db, {
        cluster: name,
        from: dateOf(from),
        until: dateOf(until),
        before: dateOf(before),
        limit: limit + 1,
      })
      const items = found.slice(0, limit).map(({ at, ...score }) => ({ at: at.toISOString(), ...score }))
      const last = items.at(-1)
      return { items, ...(last && found.length > limit ? { next: encodeCursor([last.at]) } : {}) }
    },
    readWindow: async (name) => {
      const retake = await open(name)
      return retake && readWindow(retake)
    },
    listBackups: async (name) => {
      const retake = await open(name)
      return retake && listBackups(retake)
    },
    readSchedules: async (name, { next }) => {
      const retake = await open(name)
      if (!retake) return undefined
      const kept = await keptSchedules(db, name)
      const report = await readSchedules(retake, { next, keptSince: sinceOf(kept) })
      return {
        ...report,
        schedules: report.schedules.map((schedule) => withPutOff(schedule, kept, retake.clock.now())),
      }
    },
    watchCluster: (name, request) => watchOne(name, changes.watch(request)),
  }
}

/**
 * Only while the run of which it was noted is still to come: the note may be older than that. What was due in the minute in which the
 * cluster was registered is begun as well, and is not among the runs that are judged.
 */
function withPutOff(schedule: ScheduleView, kept: readonly KeptSchedule[], now: Date): ScheduleView {
  const { last } = schedule
  const putOff = kept.find(({ name }) => name === schedule.name)?.putOff
  if (!putOff) return schedule
  const isWaiting =
    last?.at === putOff.at
      ? last.outcome === 'due' || last.outcome === 'late'
      : (last === undefined || last.at < putOff.at) && now.toISOString() < putOff.until
  return isWaiting ? { ...schedule, putOff } : schedule
}

export interface NamedEvent extends ClusterEvent {
  /** Absent: it concerns all. */
  readonly cluster?: string | undefined
}

async function* watchOne(name: string, all: ReturnType<ChangeFeed<NamedEvent>['watch']>) {
  for await (const { id, value } of all) {
    const { cluster, ...event } = value
    if (cluster === undefined || cluster === name) yield { id, value: event }
  }
}

const dateOf = (text: string | undefined) => (text === undefined ? undefined : new Date(text))

/** A look that is too old says nothing of now. */
function summaryOf(
  look: HealthReport | undefined,
  { now, staleAfterMs }: { readonly now: Date; readonly staleAfterMs: number },
): Pick<Cluster, 'verdict' | 'band' | 'checkedAt' | 'score' | 'lastBackupAt' | 'recoverableTo'> {
  if (!look) return { verdict: 'unknown', band: 'unknown' }
  const lastBackupAt = resultOf(look.checks, 'backup')?.measured?.last?.stoppedAt
  const recoverableTo = resultOf(look.checks, 'wal')?.measured?.to
  const held = {
    checkedAt: look.at,
    ...(lastBackupAt === undefined ? {} : { lastBackupAt }),
    ...(recoverableTo === undefined ? {} : { recoverableTo: { at: recoverableTo } }),
  }
  if (now.getTime() - Date.parse(look.at) > staleAfterMs) return { ...held, verdict: 'unknown', band: 'unknown' }
  const { value, band } = look.score
  return { ...held, verdict: look.verdict, band, ...(value === undefined ? {} : { score: value }) }
}
