/** Notices and the channels that they go through, and times in which nobody is told. */
import type { Channel, Maintenance } from '../../api/contract/alerts.ts'
import { decodeCursor, encodeCursor, takePage } from '../../api/pages.ts'
import type { ActionCall, MaintenanceServices, NoticeServices } from '../../api/services.ts'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { confirmCanary, readChannelStates } from '../../control/canaries.ts'
import {
  createMaintenance,
  endMaintenance,
  listMaintenance,
  type MaintenanceWindow,
  readMaintenance,
} from '../../control/maintenance.ts'
import { listNotices, type NoticeWithDeliveries, readChannelHistory, recordTried } from '../../control/outbox.ts'
import { openMaintenance, type RegularMaintenance } from '../../monitor/alerts/maintenance.ts'
import { idOf } from '../../monitor/alerts/notice-id.ts'
import type { Receipt } from '../../monitor/channels/channel.ts'
import { type ChannelState, failureNow } from '../../monitor/channels/channel-state.ts'
import type { ChannelConfig } from '../../monitor/channels/config.ts'
import type { DeliveryFailure } from '../../monitor/channels/failure.ts'
import { testNotice } from '../../monitor/channels/own-notices.ts'
import { testChannel } from '../../monitor/channels/test-channel.ts'
import { readCode, sendCanary } from '../canaries.ts'
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
      const names = channels.map(({ name }) => name)
      const states = new Map((await readChannelStates(db, names)).map((state) => [state.name, state]))
      return channels.map(({ name, kind }) => {
        const { lastDelivery: last, lastFailure: failed } = histories.get(name) ?? {}
        return {
          name,
          kind,
          ...showState(states.get(name), now()),
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
      const id = randomId()
      const outcome = await testChannel(config, { id, env, signal, now: () => at })
      const notice = testNotice({ id, now: at, channel: name })
      const end = outcome.delivered ? { receipt: outcome.receipt } : { failure: outcome.failure }
      await recordTried(db, { notice, channel: name, end })
      return {
        channel: name,
        notice: id,
        at: at.toISOString(),
        delivered: outcome.delivered,
        durationMs: Math.round(performance.now() - begunMs),
        ...(outcome.delivered ? showReceipt(outcome.receipt) : { error: shown(outcome.failure) }),
      }
    },
    sendCanary: async (name, { idempotencyKey }) => {
      if (!channels.some((channel) => channel.name === name)) return undefined
      const at = now()
      const id = idempotencyKey === undefined ? undefined : idOf(['canary', name, idempotencyKey])
      const notice = await sendCanary(db, { channel: name, now: at, id })
      return { channel: name, notice, at: at.toISOString() }
    },
    confirmCanary: async ({ code, by }, call) => {
      const confirmed = await confirmCanary(db, { code: readCode(code), by: by ?? callerName(call) })
      if (!confirmed) return undefined
      const { at, provenAt, ...rest } = confirmed
      return { ...rest, at: at.toISOString(), provenAt: provenAt.toISOString() }
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

const showReceipt = ({ message }: Receipt) => (message === undefined ? {} : { message })

function showState(state: ChannelState | undefined, now: Date): Pick<Channel, 'provenAt' | 'failing' | 'canary'> {
  if (!state) return {}
  const { provenAt, canary } = state
  const failing = failureNow(state, now)
  return {
    ...(provenAt ? { provenAt: provenAt.toISOString() } : {}),
    ...(failing ? { failing: { since: failing.since.toISOString(), error: shown(failing.failure) } } : {}),
    ...(canary ? { canary: { notice: canary.notice, at: canary.at.toISOString(), state: canary.state } } : {}),
  }
}

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
