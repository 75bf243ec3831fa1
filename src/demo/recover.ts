/** Finding the moment, planning and applying the restore: the three steps that the recovery time is measured over. */
import path from 'node:path'
import { applyRestore, planRestore } from '../engine/restore.ts'
import type { Retake } from '../engine/open.ts'
import { openSql, type SqlConnection } from '../postgres/connection/sql.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import type { Disaster } from './disasters.ts'
import { localTarget, SUPERUSER } from './source-server.ts'
import type { Story } from './story.ts'

export interface Recovered {
  readonly plan: RestorePlan
  readonly sql: SqlConnection
  readonly url: string
  readonly pid: number
  /** From the decision to recover until the recovered server took connections. */
  readonly rtoMs: number
}

export interface RecoverContext {
  readonly story: Story
  readonly disaster: Disaster
  readonly directory: string
  readonly undo: AsyncDisposableStack
  readonly signal?: AbortSignal | undefined
}
