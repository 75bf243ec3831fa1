/** Who is told, when, and what a cluster wants otherwise. */
import type { AlertSeverity } from './notice.ts'
import { HOUR_MS, MINUTE_MS } from './sightings.ts'

export interface EscalationLevel {
  /** Names of channels. */
  readonly channels: readonly string[]
  /** Nobody acknowledged for so long since the first were told. */
  readonly afterMs: number
}

/** Where alerts go instead of to the first level. */
export interface AlertRoute {
  /** Undefined, as with the others: any. */
  readonly severities?: readonly AlertSeverity[] | undefined
  readonly rules?: readonly string[] | undefined
  /** `reminder`: what is still there. `fired`: everything else that the first level is told. */
  readonly kinds?: readonly ('fired' | 'reminder')[] | undefined
  readonly channels: readonly string[]
}

export interface RuleOverride {
  readonly enabled?: boolean | undefined
  readonly severity?: AlertSeverity | undefined
  readonly forMs?: number | undefined
  readonly keepFiringMs?: number | undefined
}

export interface AlertPolicy {
  /** The first is told at once; warnings go no further than it. */
  readonly levels: readonly EscalationLevel[]
  /** The first that fits takes the place of the first level. */
  readonly routes: readonly AlertRoute[]
  /** Told when no level has acknowledged. */
  readonly everybody: readonly string[]
  readonly rules: Readonly<Record<string, RuleOverride>>
  /** How often the levels are gone through before everybody is told. */
  readonly rounds: number
  readonly acknowledgedForMs: number
  readonly groupWaitMs: number
  readonly groupIntervalMs: number
  readonly remindAfterMs: Readonly<Record<AlertSeverity, number>>
}

/** Level 2 after 15 minutes, level 3 after 30, twice; then everybody. */
export const DEFAULT_AFTER_MS = [0, 15 * MINUTE_MS, 30 * MINUTE_MS] as const

export const defaultPolicy: AlertPolicy = {
  levels: [],
  routes: [],
  everybody: [],
  rules: {},
  rounds: 2,
  acknowledgedForMs: HOUR_MS,
  groupWaitMs: 30_000,
  groupIntervalMs: 5 * MINUTE_MS,
  remindAfterMs: { critical: 4 * HOUR_MS, warning: 24 * HOUR_MS, info: Number.POSITIVE_INFINITY },
}

/** Who is told first of an alert: the first level, and what takes its place for some. */
export function firstOf({ levels, routes }: AlertPolicy): readonly string[] {
  const first = routes.filter(({ kinds }) => kinds === undefined || kinds.includes('fired'))
  return [...new Set([...(levels[0]?.channels ?? []), ...first.flatMap(({ channels }) => channels)])]
}

/** Everybody whom any alert can reach. */
export function reachOf({ levels, routes, everybody }: AlertPolicy): readonly string[] {
  return [...new Set([...[...levels, ...routes].flatMap(({ channels }) => channels), ...everybody])]
}

/** A time in which nobody is told of what happens. It is recorded all the same. */
export interface QuietTime {
  /** Undefined: all. */
  readonly rules?: readonly string[] | undefined
  readonly from: Date
  readonly until: Date
}
