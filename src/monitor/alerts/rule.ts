/** What a rule of alerts is: data, and a pure look at one report. */
import type { HealthCheckName } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import type { AlertSeverity } from './notice.ts'

/** `unknown` fires nothing and resolves nothing. */
export interface Sighting {
  /** Which of several, such as a table; empty where there is one. */
  readonly target: string
  readonly state: 'firing' | 'clear' | 'unknown'
  /** A sentence. */
  readonly finding: string
  /** The exact next step. */
  readonly fix: string
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
  /** Empty: it does not apply. */
  readonly look: (report: HealthReport) => readonly Sighting[]
}
