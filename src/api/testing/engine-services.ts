/** Services over the engine, in one process: what is asked of them is read and done, for a cluster on a real server. */
import { toRetakeError } from '../../base/errors.ts'
import { backUp } from '../../engine/backup.ts'
import { type BackupList, listBackups } from '../../engine/backups.ts'
import type { Retake } from '../../engine/open.ts'
import type { Operation, OperationOptions } from '../../engine/operation.ts'
import { prune } from '../../engine/prune.ts'
import { readSchedules } from '../../engine/schedules.ts'
import { readStatus } from '../../engine/status.ts'
import { verify } from '../../engine/verify.ts'
import { readWindow } from '../../engine/window.ts'
import { type MetricsFormat, renderMetrics } from '../../monitor/metrics/render.ts'
import { readHealth } from '../../monitor/read-health.ts'
import { readMetrics } from '../../monitor/read-metrics.ts'
import type { Health } from '../contract/health.ts'
import type { Run, StartRun } from '../contract/runs.ts'
import type { Schedules } from '../contract/schedules.ts'
import type { Status, Window } from '../contract/status.ts'
import type { ActionCall, Call } from '../services.ts'
import { MemoryServices, memoryCluster } from './memory-services.ts'

export class EngineServices extends MemoryServices {
  readonly #retake: Retake
  readonly #work = new Map<string, Operation<object>>()

  constructor(retake: Retake) {
    super()
    this.#retake = retake
    this.clusters = [memoryCluster(retake.clusterName)]
  }

  #isOurs(cluster: string): boolean {
    return cluster === this.#retake.clusterName
  }

  override async readStatus(cluster: string, { signal }: Call): Promise<Omit<Status, 'schemaVersion'> | undefined> {
    return this.#isOurs(cluster) ? readStatus(this.#retake, { signal }) : undefined
  }

  override async readHealth(cluster: string, { signal }: Call): Promise<Health | undefined> {
    return this.#isOurs(cluster) ? readHealth(this.#subject, { signal }) : undefined
  }

  override async readWindow(cluster: string): Promise<Window | undefined> {
    return this.#isOurs(cluster) ? readWindow(this.#retake) : undefined
  }

  override async listBackups(cluster: string): Promise<BackupList | undefined> {
    return this.#isOurs(cluster) ? listBackups(this.#retake) : undefined
  }

  override async readSchedules(
    cluster: string,
    { next }: { readonly next?: number | undefined },
  ): Promise<Schedules | undefined> {
    return this.#isOurs(cluster) ? readSchedules(this.#retake, { next }) : undefined
  }

  override async renderMetrics(format: MetricsFormat): Promise<string> {
    return renderMetrics(await readMetrics(this.#subject), { format })
  }

  override async startRun(
    request: { readonly cluster: string; readonly wanted: StartRun },
    call: ActionCall,
  ): Promise<Run> {
    const queued = await super.startRun(request, call)
    const running: Run = { ...queued, state: 'running', startedAt: new Date().toISOString(), attempt: 1 }
    const operation = this.#begin(request.wanted, {
      onProgress: ({ phase, ...progress }) => {
        const known = this.runs.find(({ id }) => id === queued.id)
        if (known?.state === 'running') this.putRun({ ...known, phase, progress })
      },
    })
    this.#work.set(queued.id, operation)
    this.putRun(running)
    void this.#settle(running, operation)
    return queued
  }

  override async cancelRun(id: string): Promise<Run | undefined> {
    this.#work.get(id)?.abort()
    return super.cancelRun(id)
  }

  /** What was begun, at its end. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#work.values()].map(({ result }) => result))
  }

  get #subject() {
    const { config, clock } = this.#retake
    const { key, ...options } = config
    return { ...options, ...(key === undefined ? {} : { key }), clock }
  }

  #begin(wanted: StartRun, options: OperationOptions): Operation<object> {
    switch (wanted.task) {
      case 'backup':
        return backUp(this.#retake, { ...options, type: wanted.type, label: wanted.label })
      case 'verify':
        return verify(this.#retake, { ...options, deep: wanted.deep, backupId: wanted.backupId })
      case 'prune':
        return prune(this.#retake, { ...options, dryRun: wanted.dryRun })
      case 'drill':
      case 'check':
        throw new Error('assertion failed: the tests look at the health instead')
    }
  }

  async #settle(run: Run, operation: Operation<object>): Promise<void> {
    const outcome = await operation.result.then(
      (result): Partial<Run> => ({ state: 'succeeded', result: JSON.parse(JSON.stringify(result)) }),
      (thrown: unknown): Partial<Run> => {
        const { code, message, hint } = toRetakeError(thrown)
        return { state: 'failed', error: { code, message, ...(hint === undefined ? {} : { hint }) } }
      },
    )
    const known = await this.readRun(run.id)
    if (known?.state === 'running') this.putRun({ ...known, ...outcome, endedAt: new Date().toISOString() })
  }
}
