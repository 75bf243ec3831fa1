/** What is remembered of alerts between two rounds. Plain JSON: instants are ISO 8601 UTC. */
import type { AlertSeverity } from './notice.ts'
import type { ScoreMemory } from './scores.ts'

export interface AlertMemory {
  /** The same as long as it is the same rule, cluster and target. */
  readonly key: string
  readonly rule: string
  readonly target: string
  readonly severity: AlertSeverity
  readonly title: string
  readonly effect: string
  readonly finding: string
  readonly fix: string
  /** `withdrawn`: told no more, though it is not known to be gone. */
  readonly phase: 'pending' | 'firing' | 'resolved' | 'withdrawn'
  /** Since when its condition holds. */
  readonly since: string
  readonly firedAt?: string | undefined
  /** Since when the condition is away, though it still counts as firing. */
  readonly clearSince?: string | undefined
  readonly resolvedAt?: string | undefined
  readonly withdrawn?: Withdrawn | undefined
  /** What had happened until then is meant: somebody acknowledged it and left it as it is. */
  readonly meantUntil?: string | undefined
  /** The last evaluations, the newest last: 1 it held, 0 it did not. */
  readonly changes: string
  readonly isFlapping: boolean
  readonly acknowledged?: { readonly by: string; readonly at: string; readonly until: string } | undefined
  readonly snoozedUntil?: string | undefined
  /** The key of the alert that explains it. */
  readonly inhibitedBy?: string | undefined
  /** A maintenance window is open. */
  readonly isInMaintenance?: true | undefined
  /** Since when nobody is told of it though people were told before: nobody is asked for an answer in that time. */
  readonly quietSince?: string | undefined
  /** Absent: nobody was told. */
  readonly told?: Told | undefined
  readonly incident?: string | undefined
}

export interface Withdrawn {
  readonly at: string
  /** `switched-off`: the rule was, in the configuration. `meant`: somebody acknowledged it and left it as it is. */
  readonly why: 'switched-off' | 'meant'
  readonly by?: string | undefined
}

/** What people know of it. */
export interface Told {
  readonly firstAt: string
  readonly lastAt: string
  /** From 1. Above the last level: everybody. */
  readonly level: number
  /** When this level was told; later by the time in which it was quiet. */
  readonly levelAt: string
  /** How often all levels were gone through. */
  readonly rounds: number
  readonly broadcast?: true | undefined
  readonly flapping?: true | undefined
  /** Everybody who was told, and so is told the end of it. */
  readonly channels: readonly string[]
}

export interface ClusterAlerts {
  /** By key; what was resolved long ago is left out. */
  readonly alerts: Readonly<Record<string, AlertMemory>>
  /** While something that people were told of is not resolved. */
  readonly incident?: { readonly id: string; readonly toldAt: string } | undefined
  readonly scores?: ScoreMemory | undefined
}

export const noAlerts: ClusterAlerts = { alerts: {} }

export function isOver({ phase }: Pick<AlertMemory, 'phase'>): boolean {
  return phase === 'resolved' || phase === 'withdrawn'
}
