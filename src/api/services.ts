/**
 * What the routes need from whoever runs the server. Reads give `undefined` for what does not exist, or of which nothing is known yet;
 * everything else that goes wrong is a RetakeError. All of them obey `signal`: it fires when nobody waits for the answer any more.
 */
import type { BackupList } from '../engine/backups.ts'
import type { MetricsFormat } from '../monitor/metrics/render.ts'
import type {
  Alert,
  AlertDetail,
  Canary,
  Channel,
  ChannelTest,
  ConfirmedCanary,
  Maintenance,
  NewMaintenance,
  NoticeRecord,
} from './contract/alerts.ts'
import type { Cluster, ClusterEvent } from './contract/clusters.ts'
import type { Health, ScoreRecord } from './contract/health.ts'
import type { InputOf } from './contract/operation.ts'
import type { Operations } from './contract/operations.ts'
import type { Run, StartRun } from './contract/runs.ts'
import type { Schedules } from './contract/schedules.ts'
import type { ServerInfo } from './contract/server.ts'
import type { Status, Window } from './contract/status.ts'
import type { Page } from './contract/words.ts'

export interface Call {
  readonly signal: AbortSignal
}

/** Who asks. Until people and roles exist, whoever has the token. */
export interface Caller {
  readonly kind: 'token' | 'person'
  readonly name?: string | undefined
}

export interface PageRequest {
  /** Made by the same service: where the page before ended. One that it cannot read is refused with `api.invalid`. */
  readonly cursor?: string | undefined
  /** At most so many items. */
  readonly limit: number
}

/** One item of a stream. Ids are opaque; a later item never has the id of an earlier one. */
export interface StreamItem<T> {
  readonly id: string
  readonly value: T
}

export interface WatchRequest extends Call {
  /** The id of the last item that was seen: only what came later is wanted. Unknown or too old: begin anew, so that nothing is missed. */
  readonly after?: string | undefined
}

/** Who acts, and the key with which the same request may come again: it must have its effect once. */
export interface ActionCall extends Call {
  readonly by: Caller
  /** Unique to the caller and the request; make the id of what is started from it, and it is started once even after a crash. */
  readonly idempotencyKey?: string | undefined
}

/** What the verbs of the library give (`StatusReport`, `HealthReport` …) can be given as it is; what the contract does not name is left out. */
export interface ClusterServices {
  listClusters(page: PageRequest, call: Call): Promise<Page<Cluster>>
  readCluster(cluster: string, call: Call): Promise<Cluster | undefined>
  readStatus(cluster: string, call: Call): Promise<Omit<Status, 'schemaVersion'> | undefined>
  /** Of the last look. */
  readHealth(cluster: string, call: Call): Promise<Health | undefined>
  listScores(
    cluster: string,
    request: PageRequest & { readonly from?: string | undefined; readonly until?: string | undefined },
    call: Call,
  ): Promise<Page<ScoreRecord> | undefined>
  readWindow(cluster: string, call: Call): Promise<Window | undefined>
  listBackups(cluster: string, call: Call): Promise<BackupList | undefined>
  readSchedules(
    cluster: string,
    request: { readonly next?: number | undefined },
    call: Call,
  ): Promise<Schedules | undefined>
  /** Without `after` only what changes from now on; what may have been missed is an item of the kind `reset`. Ends with the signal. */
  watchCluster(cluster: string, request: WatchRequest): AsyncIterable<StreamItem<ClusterEvent>>
}

export type RunFilter = Omit<InputOf<Operations['listRuns']>, 'cursor' | 'limit'>
export type AlertFilter = Omit<InputOf<Operations['listAlerts']>, 'cursor' | 'limit'>

export interface RunServices {
  listRuns(filter: RunFilter & PageRequest, call: Call): Promise<Page<Run>>
  readRun(run: string, call: Call): Promise<Run | undefined>
  /** @throws RetakeError `cluster.missing`, `backup.missing`, `repo.locked` */
  startRun(request: { readonly cluster: string; readonly wanted: StartRun }, call: ActionCall): Promise<Run>
  /** @throws RetakeError `api.conflict` when it is over */
  cancelRun(run: string, call: ActionCall): Promise<Run | undefined>
  /** The run as it is, unless `after` is just that, and then each change; of several changes that nobody has taken, the newest. Ends when the run is over. */
  watchRun(run: string, request: WatchRequest): AsyncIterable<StreamItem<Run>>
}

export interface AlertServices {
  listAlerts(filter: AlertFilter & PageRequest, call: Call): Promise<Page<Alert>>
  readAlert(key: string, call: Call): Promise<AlertDetail | undefined>
  /** @throws RetakeError `api.conflict` when it is resolved */
  acknowledgeAlert(
    key: string,
    wanted: InputOf<Operations['acknowledgeAlert']>['body'],
    call: ActionCall,
  ): Promise<Alert | undefined>
  /** @throws RetakeError `api.conflict` when it is resolved */
  snoozeAlert(
    key: string,
    wanted: InputOf<Operations['snoozeAlert']>['body'],
    call: ActionCall,
  ): Promise<Alert | undefined>
}

export interface MaintenanceServices {
  listMaintenance(
    request: PageRequest & { readonly cluster?: string | undefined },
    call: Call,
  ): Promise<Page<Maintenance>>
  /** @throws RetakeError `cluster.missing` */
  createMaintenance(wanted: NewMaintenance, call: ActionCall): Promise<Maintenance>
  /** @throws RetakeError `api.conflict` when it is over */
  endMaintenance(id: string, call: ActionCall): Promise<Maintenance | undefined>
}

export interface NoticeServices {
  /** By name. */
  listChannels(call: Call): Promise<readonly Channel[]>
  testChannel(name: string, call: ActionCall): Promise<ChannelTest | undefined>
  sendCanary(channel: string, call: ActionCall): Promise<Canary | undefined>
  /** Confirming again changes nothing. */
  confirmCanary(
    wanted: InputOf<Operations['confirmCanary']>['body'],
    call: ActionCall,
  ): Promise<ConfirmedCanary | undefined>
  listNotices(request: PageRequest & { readonly cluster?: string | undefined }, call: Call): Promise<Page<NoticeRecord>>
}

/** Why the server cannot do its work: each is a code and a sentence. Empty: it can. */
export type ReadinessReasons = readonly { readonly code: string; readonly message: string }[]

export interface ServerServices {
  readServer(call: Call): Promise<ServerInfo>
  readiness(call: Call): Promise<ReadinessReasons>
  renderMetrics(format: MetricsFormat, call: Call): Promise<string>
}

/** An action that was answered. */
export interface StoredAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
}

export type KeyClaim =
  /** Nobody used it: it is ours, until it is settled, released, or its holder is given up. */
  | { readonly state: 'claimed' }
  /** The same request was answered. */
  | { readonly state: 'answered'; readonly answer: StoredAnswer }
  /** The same request is being worked on. */
  | { readonly state: 'working' }
  /** It was used for another request. */
  | { readonly state: 'other' }

/**
 * Keeps `Idempotency-Key`s for at least a day. `claim` is one step: of many at the same time, one is given `claimed`. A claim that was
 * neither settled nor released for longer than the time limit of a request was lost with its server, and may be claimed again.
 */
export interface KeyServices {
  claimKey(request: { readonly key: string; readonly fingerprint: string }, call: Call): Promise<KeyClaim>
  settleKey(key: string, answer: StoredAnswer): Promise<void>
  /** It came to nothing: the same key may be used again. */
  releaseKey(key: string): Promise<void>
}

export interface ApiServices
  extends ClusterServices,
    RunServices,
    AlertServices,
    MaintenanceServices,
    NoticeServices,
    ServerServices,
    KeyServices {}
