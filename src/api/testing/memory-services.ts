/** Services that hold everything in memory and do what a test tells them: for the behaviour of HTTP, and to build others upon. */
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import type { BackupList } from '../../engine/backups.ts'
import type { MetricsFormat } from '../../monitor/metrics/render.ts'
import { ChangeFeed } from '../change-feed.ts'
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
} from '../contract/alerts.ts'
import type { Cluster, ClusterEvent } from '../contract/clusters.ts'
import type { Health, ScoreRecord } from '../contract/health.ts'
import { isOver, type Run, type StartRun } from '../contract/runs.ts'
import type { Schedules } from '../contract/schedules.ts'
import type { ServerInfo } from '../contract/server.ts'
import type { Status, Window } from '../contract/status.ts'
import type { Page } from '../contract/words.ts'
import { takePage } from '../pages.ts'
import type {
  ActionCall,
  AlertFilter,
  ApiServices,
  KeyClaim,
  PageRequest,
  ReadinessReasons,
  RunFilter,
  StoredAnswer,
  StreamItem,
  WatchRequest,
} from '../services.ts'

const AT = '2026-11-23T02:00:00.000Z'

export const memoryCluster = (name: string): Cluster => ({
  name,
  provider: 'postgres',
  verdict: 'unknown',
  band: 'unknown',
  alerts: { critical: 0, warning: 0, info: 0 },
  runs: 0,
})

interface Key {
  readonly fingerprint: string
  readonly answer?: StoredAnswer | undefined
}

export class MemoryServices implements ApiServices {
  clusters: Cluster[] = [memoryCluster('main')]
  runs: Run[] = []
  alerts: AlertDetail[] = []
  maintenance: Maintenance[] = []
  channels: Channel[] = []
  notices: NoticeRecord[] = []
  scores: ScoreRecord[] = []
  reasons: ReadinessReasons = []
  readonly keys = new Map<string, Key>()
  /** Awaited before an action begins: a test holds it up here. */
  beforeAction: (signal: AbortSignal) => Promise<void> = async () => {}
  readonly changes = new ChangeFeed<ClusterEvent>({
    epoch: randomId(4),
    capacity: 100,
    reset: () => ({ kind: 'reset', at: AT }),
  })
  readonly #runChanges = new ChangeFeed<string>({ epoch: randomId(4), capacity: 100, reset: () => '' })
  readonly #versions = new Map<string, number>()

  async listClusters(page: PageRequest): Promise<Page<Cluster>> {
    return takePage(this.clusters, { ...page, keyOf: ({ name }) => [name], order: 'ascending' })
  }

  async readCluster(cluster: string): Promise<Cluster | undefined> {
    return this.clusters.find(({ name }) => name === cluster)
  }

  async readStatus(
    _cluster: string,
    _call: { readonly signal: AbortSignal },
  ): Promise<Omit<Status, 'schemaVersion'> | undefined> {
    return undefined
  }

  async readHealth(_cluster: string, _call: { readonly signal: AbortSignal }): Promise<Health | undefined> {
    return undefined
  }

  async listScores(cluster: string, request: PageRequest): Promise<Page<ScoreRecord> | undefined> {
    if (!(await this.readCluster(cluster))) return undefined
    return takePage(this.scores, { ...request, keyOf: ({ at }) => [at], order: 'descending' })
  }

  async readWindow(_cluster: string): Promise<Window | undefined> {
    return undefined
  }

  async listBackups(_cluster: string): Promise<BackupList | undefined> {
    return undefined
  }

  async readSchedules(
    _cluster: string,
    _request: { readonly next?: number | undefined },
  ): Promise<Schedules | undefined> {
    return undefined
  }

  watchCluster(_cluster: string, request: WatchRequest): AsyncIterable<StreamItem<ClusterEvent>> {
    return this.changes.watch(request)
  }

  async listRuns({ cluster, task, state, ...page }: RunFilter & PageRequest): Promise<Page<Run>> {
    const wanted = this.runs.filter(
      (run) =>
        (cluster === undefined || run.cluster === cluster) &&
        (task === undefined || run.task === task) &&
        (state === undefined || run.state === state),
    )
    return takePage(wanted, { ...page, keyOf: ({ requestedAt, id }) => [requestedAt, id], order: 'descending' })
  }

  async readRun(id: string): Promise<Run | undefined> {
    return this.runs.find((run) => run.id === id)
  }

  async startRun(
    { cluster, wanted }: { readonly cluster: string; readonly wanted: StartRun },
    call: ActionCall,
  ): Promise<Run> {
    await this.beforeAction(call.signal)
    if (!(await this.readCluster(cluster)))
      throw new RetakeError('cluster.missing', `There is no cluster "${cluster}".`)
    const run: Run = {
      id: call.idempotencyKey ?? randomId(),
      cluster,
      task: wanted.task,
      state: 'queued',
      startedBy: call.by,
      requestedAt: new Date().toISOString(),
    }
    this.putRun(run)
    return run
  }

  async cancelRun(id: string): Promise<Run | undefined> {
    const run = await this.readRun(id)
    if (!run) return undefined
    if (isOver(run.state)) throw new RetakeError('api.conflict', 'The run is over, so it cannot be stopped.')
    return this.putRun({ ...run, state: 'cancelled', cancelRequestedAt: AT, endedAt: AT })
  }

  /** Adds a run or replaces it, and tells its watchers. */
  putRun(run: Run): Run {
    this.runs = [...this.runs.filter(({ id }) => id !== run.id), run]
    this.#versions.set(run.id, (this.#versions.get(run.id) ?? 0) + 1)
    this.#runChanges.publish(run.id)
    return run
  }

  async *watchRun(id: string, { after, signal }: WatchRequest): AsyncGenerator<StreamItem<Run>, void> {
    let seen = after
    // From before the first look on, so that no change between the look and the wait is missed.
    const changes = this.#runChanges.watch({ signal, after: undefined })
    const next = () => changes.next()
    for (let change = next(); !signal.aborted; change = next()) {
      const run = await this.readRun(id)
      const version = String(this.#versions.get(id))
      if (run && version !== seen) {
        seen = version
        yield { id: version, value: run }
      }
      if (!run || isOver(run.state)) return
      await change
    }
  }

  /** How many wait for a change. */
  get waiting(): number {
    return this.changes.waiting + this.#runChanges.waiting
  }

  async listAlerts({ cluster, state, severity, ...page }: AlertFilter & PageRequest): Promise<Page<Alert>> {
    const wanted = this.alerts.filter(
      (alert) =>
        (cluster === undefined || alert.cluster === cluster) &&
        (state === undefined || alert.state === state) &&
        (severity === undefined || alert.severity === severity),
    )
    return takePage(wanted, { ...page, keyOf: ({ since, key }) => [since, key], order: 'descending' })
  }

  async readAlert(key: string): Promise<AlertDetail | undefined> {
    return this.alerts.find((alert) => alert.key === key)
  }

  async acknowledgeAlert(
    key: string,
    { by = 'token', note }: { readonly by?: string | undefined; readonly note?: string | undefined },
  ): Promise<Alert | undefined> {
    const change = { at: AT, state: 'acknowledged', by, ...(note === undefined ? {} : { note }) } as const
    return this.#changeAlert(key, (alert) => ({
      ...alert,
      state: 'acknowledged',
      acknowledgedBy: by,
      history: [change, ...alert.history],
    }))
  }

  async snoozeAlert(key: string, { minutes }: { readonly minutes: number }): Promise<Alert | undefined> {
    const snoozedUntil = new Date(Date.parse(AT) + minutes * 60_000).toISOString()
    return this.#changeAlert(key, (alert) => ({ ...alert, state: 'silenced', snoozedUntil }))
  }

  async #changeAlert(key: string, change: (alert: AlertDetail) => AlertDetail): Promise<Alert | undefined> {
    const alert = await this.readAlert(key)
    if (!alert) return undefined
    if (alert.state === 'resolved') throw new RetakeError('api.conflict', 'The alert is resolved.')
    const changed = change(alert)
    this.alerts = this.alerts.map((one) => (one.key === key ? changed : one))
    return changed
  }

  async listMaintenance(page: PageRequest): Promise<Page<Maintenance>> {
    return takePage(this.maintenance, { ...page, keyOf: ({ from, id }) => [from, id], order: 'descending' })
  }

  async createMaintenance({ by, from = AT, ...wanted }: NewMaintenance): Promise<Maintenance> {
    const { cluster } = wanted
    if (cluster !== undefined && !(await this.readCluster(cluster)))
      throw new RetakeError('cluster.missing', `There is no cluster "${cluster}".`)
    const made: Maintenance = {
      ...wanted,
      id: randomId(4),
      from,
      state: 'open',
      createdBy: by ?? 'token',
      createdAt: AT,
    }
    this.maintenance.push(made)
    return made
  }

  async endMaintenance(id: string): Promise<Maintenance | undefined> {
    const found = this.maintenance.find((one) => one.id === id)
    return found && { ...found, state: 'over', endedEarlyAt: AT }
  }

  async listChannels(): Promise<readonly Channel[]> {
    return this.channels
  }

  async testChannel(name: string): Promise<ChannelTest | undefined> {
    const channel = this.channels.find((one) => one.name === name)
    return channel && { channel: name, notice: 'n1', at: AT, delivered: true, durationMs: 12 }
  }

  async sendCanary(name: string): Promise<Canary | undefined> {
    return this.channels.some((one) => one.name === name) ? { channel: name, notice: 'n2', at: AT } : undefined
  }

  async confirmCanary({
    code,
    by = 'token',
  }: {
    readonly code: string
    readonly by?: string | undefined
  }): Promise<ConfirmedCanary | undefined> {
    const [channel] = this.channels
    if (!channel || code !== 'K7QM-2FXP') return undefined
    return { channel: channel.name, notice: 'n2', at: AT, provenAt: AT, confirmedBy: by }
  }

  async listNotices(page: PageRequest): Promise<Page<NoticeRecord>> {
    return takePage(this.notices, { ...page, keyOf: ({ at, id }) => [at, id], order: 'descending' })
  }

  async readServer(_call: { readonly signal: AbortSignal }): Promise<ServerInfo> {
    return { version: '0.0.0', startedAt: AT, servers: [], database: { kind: 'embedded', state: 'reachable' } }
  }

  async readiness(): Promise<ReadinessReasons> {
    return this.reasons
  }

  async renderMetrics(format: MetricsFormat): Promise<string> {
    return format === 'openmetrics' ? '# EOF\n' : ''
  }

  async claimKey({ key, fingerprint }: { readonly key: string; readonly fingerprint: string }): Promise<KeyClaim> {
    const known = this.keys.get(key)
    if (known && known.fingerprint !== fingerprint) return { state: 'other' }
    if (known) return known.answer ? { state: 'answered', answer: known.answer } : { state: 'working' }
    this.keys.set(key, { fingerprint })
    return { state: 'claimed' }
  }

  async settleKey(key: string, answer: StoredAnswer): Promise<void> {
    const known = this.keys.get(key)
    if (known) this.keys.set(key, { ...known, answer })
  }

  async releaseKey(key: string): Promise<void> {
    this.keys.delete(key)
  }
}
