/**
 * A client of Retake's server, for every program with `fetch`: Node 20 and later, browsers, edge runtimes.
 *
 * ```ts
 * import { createClient } from 'retake/client'
 *
 * const client = createClient({ url: 'http://127.0.0.1:7432', token })
 * const { verdict, score } = await client.getHealth({ cluster: 'main' })
 * ```
 *
 * @module
 */

export {
  type ActionOptions,
  type CallOptions,
  type Client,
  type ClientOptions,
  createClient,
  eachItem,
} from './api/client/client.ts'
export type { Fetch } from './api/client/exchange.ts'
export type {
  Alert,
  AlertDetail,
  Canary,
  Channel,
  ChannelTest,
  ConfirmedCanary,
  Maintenance,
  NoticeRecord,
} from './api/contract/alerts.ts'
export type { Backup, BackupPage } from './api/contract/backups.ts'
export type { Cluster, ClusterEvent } from './api/contract/clusters.ts'
export type { Health, ScoreRecord } from './api/contract/health.ts'
export type { Problem } from './api/contract/problem.ts'
export type { Run, RunState, StartRun } from './api/contract/runs.ts'
export type { Schedules } from './api/contract/schedules.ts'
export type { ServerInfo } from './api/contract/server.ts'
export type { Status, Window } from './api/contract/status.ts'
export type { Page } from './api/contract/words.ts'
export type { ErrorCode, RetryAdvice } from './base/error-codes.ts'
export { isRetakeError, RetakeError } from './base/errors.ts'
