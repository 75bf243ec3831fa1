import type { CriticalTable } from '../engine/config-options.ts'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import type { SandboxAccess } from './sandbox-access.ts'

/** What checks look at. */
export interface ProofSubject {
  readonly access: SandboxAccess
  readonly plan: RestorePlan
  readonly serverVersionNum: number
  /** Undefined: none are configured. */
  readonly criticalTables: readonly CriticalTable[] | undefined
  /** What the source preloads, and the sandbox does not. */
  readonly preloaded: string
  readonly deep: boolean
  /** Databases that can be connected to. */
  readonly databases: readonly string[]
  /** One connection for each, opened when it is first asked for, one at a time. */
  readonly inEach: <T>(look: (sql: SqlConnection, database: string) => Promise<T>) => Promise<T[]>
}
