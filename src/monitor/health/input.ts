/** What the score is computed from. Plain data, so that whoever has it from elsewhere can ask for a score as well. */
import type { HealthCheckResult } from '../checks/result.ts'
import type { BackupHistory } from './backup-history.ts'

/** The way of notices to people, told by whoever sends them. */
export interface AlertPath {
  /** When the last notice was delivered of which a person has said that it arrived. */
  readonly provenAt?: string | undefined
  /** Why that proves nothing, or what stands in its way. */
  readonly problem?: { readonly reason: string; readonly fix: string } | undefined
}

export interface HealthInput {
  readonly checks: readonly HealthCheckResult[]
  /** Undefined: not known. */
  readonly history?: BackupHistory | undefined
  /** Undefined: nobody has told. */
  readonly alertPath?: AlertPath | undefined
  readonly targets: HealthTargets
  readonly now: Date
  /** How often the checks are made; results older than twice that are no results. */
  readonly intervalMs: number
}

export interface HealthTargets {
  /** The whole application is back. */
  readonly rtoMs: number
  /** A backup takes no longer. */
  readonly completionMs: number
  /** Share of runs, and of minutes, that must succeed. */
  readonly successShare: number
  /** How old a proven alert path may be. */
  readonly alertPathMs: number
}
