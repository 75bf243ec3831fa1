/** One project of the test server: what it has, and how its state moves when it is restored. */
import type { Clock } from '../../base/clock.ts'

export type TestPlan = 'free' | 'pro' | 'team' | 'enterprise'

export interface TestBackupRow {
  readonly id: number
  readonly is_physical_backup: boolean
  readonly status: 'COMPLETED' | 'FAILED' | 'PENDING' | 'REMOVED' | 'ARCHIVED' | 'CANCELLED'
  readonly inserted_at: string
}

/** The three ways in which the API describes backups. */
export type TestBackups =
  | { readonly mode: 'none' }
  | { readonly mode: 'daily'; readonly rows: readonly TestBackupRow[] }
  | {
      readonly mode: 'pitr'
      readonly days: 7 | 14 | 28
      readonly earliestUnix: number
      readonly latestUnix: number
    }

export interface TestProjectOptions {
  /** Twenty lower-case letters. */
  readonly ref: string
  readonly name?: string | undefined
  readonly region?: string | undefined
  readonly organizationSlug?: string | undefined
  readonly plan?: TestPlan | undefined
  readonly backups?: TestBackups | undefined
  /** `HH:MM:SS`. */
  readonly scheduleFor?: string | undefined
  readonly buckets?: readonly Readonly<Record<string, unknown>>[] | undefined
  readonly postgresConfig?: Readonly<Record<string, unknown>> | undefined
  readonly lints?: readonly Readonly<Record<string, unknown>>[] | undefined
  /** 64 hexadecimal digits. */
  readonly rootKey?: string | undefined
  /** How long a restore takes; default 30 000. */
  readonly restoreMs?: number | undefined
  /** Runs SQL for `database/query`; without it that call is refused. */
  readonly query?: ((sql: string) => Promise<readonly object[]>) | undefined
}

export class TestProject {
  readonly ref: string
  readonly name: string
  readonly region: string
  readonly organizationSlug: string
  readonly postgresConfig: Readonly<Record<string, unknown>>
  readonly buckets: readonly Readonly<Record<string, unknown>>[]
  readonly lints: readonly Readonly<Record<string, unknown>>[]
  readonly rootKey: string
  readonly query: TestProjectOptions['query']
  plan: TestPlan
  backups: TestBackups
  scheduleFor: string
  scheduleUpdatedAt: string
  /** What the status is when no restore is under way. */
  status = 'ACTIVE_HEALTHY'
  /** Whether the next restore ends as `RESTORE_FAILED`. */
  restoreFails = false
  /** The targets that were accepted. */
  readonly restores: number[] = []
  readonly #clock: Clock
  readonly #restoreMs: number
  #restoringUntilMs: number | undefined

  constructor(options: TestProjectOptions, clock: Clock) {
    this.ref = options.ref
    this.name = options.name ?? 'cinetrack'
    this.region = options.region ?? 'us-east-1'
    this.organizationSlug = options.organizationSlug ?? 'cinetrack-org'
    this.plan = options.plan ?? 'pro'
    this.backups = options.backups ?? { mode: 'none' }
    this.scheduleFor = options.scheduleFor ?? '02:00:00'
    this.scheduleUpdatedAt = clock.now().toISOString()
    this.buckets = options.buckets ?? []
    this.postgresConfig = options.postgresConfig ?? {}
    this.lints = options.lints ?? []
    this.rootKey = options.rootKey ?? '0'.repeat(64)
    this.query = options.query
    this.#clock = clock
    this.#restoreMs = options.restoreMs ?? 30_000
  }

  beginRestore(targetUnix: number): void {
    this.restores.push(targetUnix)
    this.#restoringUntilMs = this.#clock.monotonicMs() + this.#restoreMs
  }

  /** As the API would say it now. */
  currentStatus(): string {
    if (this.#restoringUntilMs !== undefined) {
      if (this.#clock.monotonicMs() < this.#restoringUntilMs) return 'RESTORING'
      this.#restoringUntilMs = undefined
      this.status = this.restoreFails ? 'RESTORE_FAILED' : 'ACTIVE_HEALTHY'
    }
    return this.status
  }
}
