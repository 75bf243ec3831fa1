/** What every request is served with. */
import type { Context, Hono } from 'hono'
import type { Logger } from '../../base/progress.ts'
import type { ApiServices } from '../services.ts'
import type { ApiLimits } from './options.ts'

export interface ApiContext {
  readonly services: ApiServices
  readonly limits: ApiLimits
  readonly isAllowed: (authorization: string | null) => boolean
  readonly logger: Logger
  /** Texts that must not appear in an answer. */
  readonly secrets: readonly string[]
  /** The server ends: streams end with a word about it. */
  readonly closing: AbortController
  /** The server ends at once. */
  readonly stopping: AbortController
  readonly open: { streams: number }
}

export type Env = { Variables: { requestId: string } }
export type ApiApp = Hono<Env>
export type RequestContext = Context<Env>
