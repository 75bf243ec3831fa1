/** What the parts of a running server have in common. */
import type { Logger } from '../base/progress.ts'
import type { ControlDatabase } from '../control/database/open.ts'
import type { RunRequest } from '../control/runs.ts'
import type { ServerConfig } from './config.ts'
import type { ManagedCluster } from './managed-cluster.ts'

/** What the parts of a server stand on. */
export interface Server {
  readonly id: string
  readonly config: ServerConfig
  readonly control: ControlDatabase
  readonly clusters: ReadonlyMap<string, ManagedCluster>
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  /** Puts work on record and begins it. False: there already was one with this id. */
  readonly startRun: (request: RunRequest) => Promise<boolean>
  /** False: it has ended, or there is none. */
  readonly cancelRun: (options: { readonly id: string; readonly by: string }) => Promise<boolean>
}
