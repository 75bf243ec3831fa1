/** Who is to be told of one alert now, and as what. Pure. */
import type { NoticeKind } from './notice.ts'
import type { AlertPolicy } from './policy.ts'
import { isAcknowledged, isSilenced } from './shown.ts'
import type { AlertMemory, Told } from './state.ts'

export interface Telling {
  readonly kind: NoticeKind
  readonly channels: readonly string[]
  /** What people know afterwards. */
  readonly told: Told
}

interface TellFacts {
  readonly policy: AlertPolicy
  readonly now: Date
  /** When the group that it belongs to was last told of something new. */
  readonly toldAt: string | undefined
}

/** Undefined: nobody. */
export function tellingOf(alert: AlertMemory, facts: TellFacts): Telling | undefined {
  const { now } = facts
  if (alert.phase !== 'firing' || alert.inhibitedBy !== undefined || isSilenced(alert, now)) return undefined
  // What is going away already needs nobody any more.
  if (!alert.told) {
    return isAcknowledged(alert, now) || alert.clearSince !== undefined ? undefined : firstTelling(alert, facts)
  }
  if (alert.isFlapping) return alert.told.flapping ? undefined : flappingTelling(alert.told, now)
  if (isAcknowledged(alert, now) || alert.clearSince !== undefined) return undefined
  if (alert.acknowledged || alert.told.flapping) return againTelling(alert, alert.told, facts)
  return escalation(alert, alert.told, facts) ?? reminder(alert, alert.told, facts)
}

/** New ones wait for each other a little, and longer when something was just told. */
function firstTelling(alert: AlertMemory, { policy, now, toldAt }: TellFacts): Telling | undefined {
  const { firedAt = '', severity } = alert
  const channels = channelsOf(policy, { alert, level: 1, kind: 'fired' })
  if (!channels) return undefined
  const isGathering = now.getTime() - Date.parse(firedAt) < policy.groupWaitMs
  const isCalm = toldAt === undefined || now.getTime() - Date.parse(toldAt) >= policy.groupIntervalMs
  if (isGathering || !(isCalm || severity === 'critical')) return undefined
  const at = now.toISOString()
  return { kind: 'fired', channels, told: { firstAt: at, lastAt: at, level: 1, levelAt: at, rounds: 1, channels } }
}

/** Said once; then it is quiet until it holds still. */
function flappingTelling(told: Told, now: Date): Telling {
  return { kind: 'flapping', channels: told.channels, told: { ...told, lastAt: now.toISOString(), flapping: true } }
}

/** An acknowledgement ran out, or it holds still again and is there: the level that gave it is told anew, and escalation begins anew from there. */
function againTelling(alert: AlertMemory, told: Told, { policy, now }: TellFacts): Telling {
  const at = now.toISOString()
  const channels = channelsOf(policy, { alert, level: told.level, kind: 'fired' }) ?? told.channels
  const { flapping: _over, broadcast: _everybody, ...rest } = told
  return {
    kind: 'refired',
    channels,
    told: { ...rest, lastAt: at, levelAt: at, channels: union(told.channels, channels) },
  }
}

function escalation(alert: AlertMemory, told: Told, { policy, now }: TellFacts): Telling | undefined {
  if (alert.severity !== 'critical' || told.broadcast) return undefined
  const at = now.toISOString()
  const waitedMs = now.getTime() - Date.parse(told.levelAt)
  const next = policy.levels[told.level]
  const stepMs = (next?.afterMs ?? lastStepEnd(policy)) - (policy.levels[told.level - 1]?.afterMs ?? 0)
  if (waitedMs < stepMs) return undefined
  if (next) return levelTelling(told, { level: told.level + 1, rounds: told.rounds, channels: next.channels, at })
  const first = channelsOf(policy, { alert, level: 1, kind: 'fired' })
  if (told.rounds < policy.rounds && policy.levels.length > 0 && first) {
    return levelTelling(told, { level: 1, rounds: told.rounds + 1, channels: first, at })
  }
  const channels = union(policy.everybody, told.channels)
  return { kind: 'broadcast', channels, told: { ...told, lastAt: at, levelAt: at, broadcast: true, channels } }
}

interface NextLevel {
  readonly level: number
  readonly rounds: number
  readonly channels: readonly string[]
  readonly at: string
}

function levelTelling(told: Told, { level, rounds, channels, at }: NextLevel): Telling {
  return {
    kind: 'escalated',
    channels,
    told: { ...told, lastAt: at, level, levelAt: at, rounds, channels: union(told.channels, channels) },
  }
}

/** The last level has as long as the one before it had. */
function lastStepEnd({ levels }: AlertPolicy): number {
  const last = levels.at(-1)?.afterMs ?? 0
  const before = levels.at(-2)?.afterMs ?? 0
  return last + Math.max(last - before, LEAST_STEP_MS)
}

const LEAST_STEP_MS = 15 * 60_000

function reminder(alert: AlertMemory, told: Told, { policy, now }: TellFacts): Telling | undefined {
  if (now.getTime() - Date.parse(told.lastAt) < policy.remindAfterMs[alert.severity]) return undefined
  const own = channelsOf(policy, { alert, level: told.level, kind: 'reminder' }) ?? told.channels
  const channels = told.broadcast ? told.channels : own
  const at = now.toISOString()
  return { kind: 'reminder', channels, told: { ...told, lastAt: at, channels: union(told.channels, channels) } }
}

interface PlaceFacts {
  readonly alert: AlertMemory
  readonly level: number
  readonly kind: 'fired' | 'reminder'
}

/** Of a level. A route takes the place of the first one, and is the only way for what is worth no notice otherwise. */
function channelsOf(policy: AlertPolicy, { alert, level, kind }: PlaceFacts): readonly string[] | undefined {
  const { severity, rule } = alert
  const route =
    level === 1 &&
    policy.routes.find(
      ({ severities, rules, kinds }) =>
        (severities?.includes(severity) ?? true) && (rules?.includes(rule) ?? true) && (kinds?.includes(kind) ?? true),
    )
  if (route) return route.channels
  return severity === 'info' ? undefined : policy.levels[level - 1]?.channels
}

export const union = (left: readonly string[], right: readonly string[]): readonly string[] => [
  ...new Set([...left, ...right]),
]
