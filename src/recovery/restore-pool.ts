/** Hands batches to worker threads; `submit` resolves when there is room, so the manifest is read no faster than files are written. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { abortedError, type RetakeError, reviveError, toRetakeError } from '../base/errors.ts'
import { workerUrl } from '../base/threads.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { exportSealing } from '../repository/sealing.ts'
import { addressOf } from '../storage/store-address.ts'
import { BatchRestorer } from './batch-restorer.ts'
import type { RestoreBatch } from './restore-batches.ts'
import type { RestoreReply, RestoreWorkerData } from './restore-worker.ts'
import { writeError } from './write-error.ts'

export interface RestorePoolOptions {
  readonly cluster: ClusterRepository
  /** Owns what is written; undefined: this process. */
  readonly account: ServerAccount | undefined
  /** Default: one per processor, at most four, fewer for little. 0 works in the caller's thread (and is what a memory store needs). */
  readonly workers?: number | undefined
  /** How much will be written; starting a thread for little is not worth its while. */
  readonly expectedBytes: number
  /** After each batch; the amounts are those of all batches so far. */
  readonly onProgress?: ((done: RestoredBytes) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RestoredBytes {
  /** Written into files. */
  readonly plainBytes: number
  /** Fetched from the repository. */
  readonly storedBytes: number
}

/** Each worker has one batch in work and one in its inbox. */
const QUEUED_PER_WORKER = 2
/** More hardly gain anything, and each costs some 40 MB. */
const MAX_WORKERS = 4
const BYTES_WORTH_A_WORKER = 48 * 1024 * 1024

export class RestorePool implements AsyncDisposable {
  readonly #options: RestorePoolOptions
  readonly #workers: { readonly worker: Worker; queued: number; readonly exited: Promise<void> }[] = []
  readonly #inline: BatchRestorer | undefined
  #done: RestoredBytes = { plainBytes: 0, storedBytes: 0 }
  #failure: RetakeError | undefined
  #wake = Promise.withResolvers<void>()

  constructor(options: RestorePoolOptions) {
    this.#options = options
    const { cluster, account } = options
    const count = cluster.store.url.startsWith('memory:') ? 0 : (options.workers ?? workersFor(options.expectedBytes))
    const data: RestoreWorkerData = {
      store: addressOf(cluster.store),
      sealing: exportSealing(cluster.sealing),
      account,
    }
    if (count === 0) this.#inline = new BatchRestorer(cluster.store, data)
    for (let index = 0; index < count; index += 1) this.#startWorker(data)
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get done(): RestoredBytes {
    return this.#done
  }

  /** @throws RetakeError the first failure of any batch */
  async submit(batch: RestoreBatch): Promise<void> {
    if (this.#inline) return await this.#restoreInline(this.#inline, batch)
    for (;;) {
      if (this.#failure) throw this.#failure
      const free = this.#workers.reduce((best, one) => (one.queued < best.queued ? one : best))
      if (free.queued < QUEUED_PER_WORKER) {
        free.queued += 1
        free.worker.postMessage(batch)
        return
      }
      await this.#wake.promise
    }
  }

  /** Resolves when everything submitted is written. @throws RetakeError the first failure of any batch */
  async settle(): Promise<void> {
    while (this.#workers.some((one) => one.queued > 0) && !this.#failure) await this.#wake.promise
    if (this.#failure) throw this.#failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#inline?.close()
    const idle = this.#workers.every((one) => one.queued === 0)
    for (const { worker } of this.#workers) {
      if (idle) worker.postMessage('close')
      else await worker.terminate()
    }
    await Promise.all(this.#workers.map((one) => one.exited))
  }

  async #restoreInline(restorer: BatchRestorer, batch: RestoreBatch): Promise<void> {
    if (this.#failure) throw this.#failure
    try {
      await restorer.restore(batch)
    } catch (error) {
      throw writeError(error)
    }
    this.#count(batch)
  }

  #count({ plainBytes, storedBytes }: RestoredBytes): void {
    const before = this.#done
    this.#done = { plainBytes: before.plainBytes + plainBytes, storedBytes: before.storedBytes + storedBytes }
    this.#options.onProgress?.(this.#done)
  }

  #startWorker(data: RestoreWorkerData): void {
    const worker = new Worker(workerUrl(import.meta.url, './restore-worker'), { workerData: data })
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const entry = { worker, queued: 0, exited }
    this.#workers.push(entry)
    worker.on('message', (reply: RestoreReply) => {
      entry.queued -= 1
      if (reply.type === 'failed') this.#fail(reviveError(reply.error))
      else this.#count(reply)
      this.#signalProgress()
    })
    worker.on('error', (error) => this.#fail(toRetakeError(error)))
    worker.on('exit', () => {
      if (entry.queued > 0) this.#fail(toRetakeError(new Error('A worker of the restore ended unexpectedly.')))
    })
  }

  readonly #onAbort = () => this.#fail(abortedError(this.#options.signal?.reason))

  #fail(error: RetakeError): void {
    this.#failure ??= error
    this.#signalProgress()
  }

  #signalProgress(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }
}

function workersFor(bytes: number): number {
  return Math.min(availableParallelism(), MAX_WORKERS, Math.floor(bytes / BYTES_WORTH_A_WORKER))
}
