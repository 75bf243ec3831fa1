/** Hands batches to worker threads; `submit` resolves when there is room, so the manifest is read no faster than files are written. */
import { availableParallelism } from 'node:os'
import { throwIfAborted } from '../base/abort.ts'
import { ThreadPool } from '../base/thread-pool.ts'
import { workerUrl } from '../base/threads.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { exportSealing } from '../repository/sealing.ts'
import { addressOf } from '../storage/store-address.ts'
import { BatchRestorer } from './batch-restorer.ts'
import type { RestoreBatch, RestoredBytes } from './restore-batches.ts'
import type { RestoreWorkerData } from './restore-worker.ts'
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

/** More hardly gain anything, and each costs some 40 MB. */
const MAX_WORKERS = 4
const BYTES_WORTH_A_WORKER = 48 * 1024 * 1024

export class RestorePool implements AsyncDisposable {
  readonly #onProgress: RestorePoolOptions['onProgress']
  readonly #signal: AbortSignal | undefined
  readonly #threads: ThreadPool<RestoreBatch, RestoredBytes> | undefined
  readonly #inline: BatchRestorer | undefined
  #done: RestoredBytes = { plainBytes: 0, storedBytes: 0 }

  constructor(options: RestorePoolOptions) {
    const { cluster, account, signal } = options
    this.#onProgress = options.onProgress
    this.#signal = signal
    const threads = cluster.store.url.startsWith('memory:') ? 0 : (options.workers ?? workersFor(options.expectedBytes))
    const data: RestoreWorkerData = {
      store: addressOf(cluster.store),
      sealing: exportSealing(cluster.sealing),
      account,
    }
    if (threads === 0) this.#inline = new BatchRestorer(cluster.store, data)
    else {
      const module = workerUrl(import.meta.url, './restore-worker')
      this.#threads = new ThreadPool({ module, data, threads, signal, onResult: (result) => this.#count(result) })
    }
  }

  get done(): RestoredBytes {
    return this.#done
  }

  /** @throws RetakeError the first failure of any batch */
  async submit(batch: RestoreBatch): Promise<void> {
    await this.#threads?.submit(batch)
    if (this.#inline) await this.#restoreInline(this.#inline, batch)
  }

  /** Resolves when everything submitted is written. @throws RetakeError the first failure of any batch */
  async settle(): Promise<void> {
    await this.#threads?.settle()
    throwIfAborted(this.#signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inline?.close()
    await this.#threads?.[Symbol.asyncDispose]()
  }

  async #restoreInline(restorer: BatchRestorer, batch: RestoreBatch): Promise<void> {
    throwIfAborted(this.#signal)
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
    this.#onProgress?.(this.#done)
  }
}

function workersFor(bytes: number): number {
  return Math.min(availableParallelism(), MAX_WORKERS, Math.floor(bytes / BYTES_WORTH_A_WORKER))
}
