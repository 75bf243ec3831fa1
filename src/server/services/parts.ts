/** What the services of the API stand on. */
import type { Kysely } from 'kysely'
import type { Logger } from '../../base/progress.ts'
import type { ControlDatabase } from '../../control/database/open.ts'
import type { ControlTables } from '../../control/database/schema.ts'
import type { ManagedCluster } from '../managed-cluster.ts'

export interface ServiceParts {
  readonly control: ControlDatabase
  readonly db: Kysely<ControlTables>
  readonly clusters: ReadonlyMap<string, ManagedCluster>
  readonly logger: Logger
  readonly now: () => Date
  /** A look that is older says nothing of now. */
  readonly staleAfterMs: number
}
