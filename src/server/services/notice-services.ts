/** Notices and the channels that they go through, and times in which nobody is told. */
import type { Maintenance } from '../../api/contract/alerts.ts'
import { decodeCursor, encodeCursor, takePage } from '../../api/pages.ts'
import type { ActionCall, MaintenanceServices, NoticeServices } from '../../api/services.ts'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import {
  createMaintenance,
  endMaintenance,
  listMaintenance,
  type MaintenanceWindow,
  readMaintenance,
} from '../../control/maintenance.ts'
import { listNotices, type NoticeWithDeliveries, readChannelHistory } from '../../control/outbox.ts'
import { openMaintenance, type RegularMaintenance } from '../../monitor/alerts/maintenance.ts'
import type { ChannelConfig } from '../../monitor/channels/config.ts'
import type { DeliveryFailure } from '../../monitor/channels/failure.ts'
import { testChannel } from '../../monitor/channels/test-channel.ts'
import type { ServiceParts } from './parts.ts'
import { noCluster } from './run-services.ts'

export interface NoticeParts extends ServiceParts {
  readonly channels: readonly ChannelConfig[]
  readonly env: NodeJS.ProcessEnv
}

export function noticeServices({ db, channels, env, now }: NoticeParts): NoticeServices {
  return {
    listChannels: async () => {
      const histories = await readChannelHistory(db)
      return channels.map(({ name, kind }) => {
        const { lastDelivery: last, lastFailure: failed } = histories.get(name) ?? {}
        return {
          name,
          kind,
          ...(last ? { lastDelivery: { at: last.at.toISOString(), notice: last.notice } } : {}),
          ...(failed
            ? { lastFailure: { at: failed.at.toISOString(), notice: failed.notice, error: shown(failed.failure) } }
            : {}),
        }
      })
    },
    testChannel: async (name, { signal }) => {
      const config = channels.find((channel) => channel.name === name)
      if (!config) return undefined
      const begunMs = performance.now()
      const at = now()
      const id = randomId(8)
      const outcome = await testChannel(config, { env, signal })
      return {
        channel: name,
        notice: id,
        at: at.toISOString(),
        delivered: outcome.delivered,
        durationMs: Math.round(performance.now() - begunMs),
        ...(outcome.delivered ? {} : { error: shown(outcome.failure) }),
      }
    },
    listNotices: async ({ cluster, cursor, limit }) => {
      const [at, id = ''] = cursor === undefined ? [] : decodeCursor(cursor)
      const before = at === undefined ? undefined : { at: new Date(at), id }
      const found = await listNotices(db, { cluster, before, limit: limit + 1 })
      const items = found.slice(0, limit)
      const last = items.at(-1)?.notice
      return {
        items: items.map(showNotice),
        ...(last && found.length > limit ? { next: encodeCursor([last.at, last.id]) } : {}),
      }
    },
  }
}

const shown = ({ code, message, hint }: DeliveryFailure) => ({ code, message, ...(hint === undefined ? {} : { hint }) })

function showNotice({ notice, deliveries }: NoticeWithDeliveries) {
  const { id, kind, at, incident, severity, cluster, headline, alerts, level } = notice
  return {
    id,
    kind,
    at,
    incident,
    severity,
    ...(cluster === undefined ? {} : { cluster }),
    headline,
    alerts: alerts.map(({ key }) => key),
    ...(level === undefined ? {} : { level }),
    deliveries: deliveries.map(({ failure, at: triedAt, ...delivery }) => ({
      ...delivery,
      ...(triedAt ? { at: triedAt.toISOString() } : {}),
      ...(failure && delivery.state !== 'delivered' ? { error: shown(failure) } : {}),
    })),
  }
}

export interface MaintenanceParts extends ServiceParts {
  /** What the file of the server says. */
  readonly regular: readonly RegularMaintenance[]
}

export function maintenanceServices({ db, clusters, regular, now }: MaintenanceParts): MaintenanceServices {
  const show = (window: MaintenanceWindow) => showMaintenance(window, now())
  return {
    listMaintenance: async ({ cluster, ...page }) => {
      const names = [...clusters.keys()].filter((name) => cluster === undefined || name === cluster)
      const all = [
        ...(await listMaintenance(db, { cluster })).map(show),
        ...names.flatMap((name) => showRegular(regular, { cluster: name, now: now() })),
      ]
      return takePage(all, { ...page, keyOf: ({ from, id }) => [from, id], order: 'descending' })
    },
    createMaintenance: async ({ cluster, rules, from, until, reason, by }, call) => {
      if (cluster !== undefined && !clusters.has(cluster)) throw noCluster(cluster)
      const begins = from === undefined ? now() : new Date(from)
      if (Date.parse(until) <= begins.getTime()) {
        throw new RetakeError('api.invalid', 'The time ends before it begins.', { hint: 'Choose a later "until".' })
      }
      const createdBy = by ?? callerName(call)
      return show(
        await createMaintenance(db, { cluster, rules, from: begins, until: new Date(until), reason, createdBy }),
      )
    },
    endMaintenance: async (id) => {
      const ended = await endMaintenance(db, id)
      if (ended) return show(ended)
      if (await readMaintenance(db, id)) throw new RetakeError('api.conflict', 'It is over already.')
      return undefined
    },
  }
}

export const callerName = ({ by }: ActionCall) => by.name ?? by.kind

/** Those of the file are shown while they are open, each of its cluster; who wants them to end changes the file. */
function showRegular(
  windows: readonly RegularMaintenance[],
  { cluster, now }: { readonly cluster: string; readonly now: Date },
): Maintenance[] {
  return openMaintenance(windows, { cluster, now }).map(({ from, until, rules, reason }, index) => ({
    id: `regular-${cluster}-${index}-${from.getTime()}`,
    cluster,
    ...(rules ? { rules: [...rules] } : {}),
    from: from.toISOString(),
    until: until.toISOString(),
    state: 'open',
    reason,
    createdBy: 'the file of the server',
    createdAt: from.toISOString(),
  }))
}

function showMaintenance(window: MaintenanceWindow, now: Date): Maintenance {
  const { from, until, endedEarlyAt, createdAt, ...rest } = window
  const isOver = endedEarlyAt !== undefined || until <= now
  return {
    ...rest,
    from: from.toISOString(),
    until: until.toISOString(),
    createdAt: createdAt.toISOString(),
    ...(endedEarlyAt ? { endedEarlyAt: endedEarlyAt.toISOString() } : {}),
    state: isOver ? 'over' : from > now ? 'planned' : 'open',
  }
}
