/** What a rule of alerts is: data, and a pure look at one report. */
import type { HealthCheckName } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import type { AlertSeverity } from './notice.ts'
import type { ScoreMemory } from './scores.ts'

/** `unknown` fires nothing and resolves nothing. */
export interface Sighting {
  /** Which of several, such as a table; empty where there is one. */
  readonly target: string
  readonly state: 'firing' | 'clear' | 'unknown'
  /** A sentence. */
  readonly finding: string
  /** The exact next step. */
  readonly fix: string
  /** Of a rule that ends with an acknowledgement: when the last of it was seen. ISO 8601 UTC. */
  readonly newestAt?: string | undefined
}

/** A look that came to no report at all. */
export interface FailedLook {
  readonly cluster: string
  readonly failed: { readonly finding: string; readonly fix: string }
}

/** How a server finds its own channels. */
export interface OwnLook {
  /** The name that the server has among clusters. */
  readonly cluster: string
  readonly channels: readonly {
    readonly name: string
    /** Undefined: nothing has failed since something last arrived. */
    readonly failing?: { readonly since: Date; readonly message: string } | undefined
  }[]
}

export type Look = HealthReport | FailedLook | OwnLook

/** What is known of the rounds before, this one among them. */
export interface Past {
  readonly scores?: ScoreMemory | undefined
}

export interface AlertRule {
  /** Stands in configurations and keys: never changed. */
  readonly name: string
  /** A few words. */
  readonly title: string
  readonly severity: AlertSeverity
  /** It must hold for so long before it fires. */
  readonly forMs: number
  /** It must be away for so long before it is resolved. */
  readonly keepFiringMs: number
  /** What it means for recovery, a sentence. */
  readonly effect: string
  /** Rules that explain it: while one of them holds, nobody is told of this one. */
  readonly inhibitedBy: readonly string[]
  /** The checks that it needs, for the documents. */
  readonly checks: readonly HealthCheckName[]
  /**
   * It is about something that happened, and may have been meant: whoever acknowledges it and leaves it as it is says so. It is
   * withdrawn when the acknowledgement runs out, and only what happens after that fires anew.
   */
  readonly endsWithAcknowledgement: boolean
  /** Empty: it does not apply. */
  readonly look: (report: HealthReport, past: Past) => readonly Sighting[]
  /** What it sees where there is no report. Default: nothing, and its alerts stay as they are. */
  readonly lookWithout?: ((look: FailedLook | OwnLook) => readonly Sighting[]) | undefined
}
