/** The queue of segments that wait to be sealed. It is short: when sealing falls behind, receiving waits, and then the server. */
import { Worker } from 'node:worker_threads'
import { type RetakeError, reviveError } from '../../base/errors.ts'
import { workerUrl } from '../../base/threads.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { exportSealing } from '../../repository/sealing.ts'
import { addressOf } from '../../storage/store-address.ts'
import type { FromSegmentWorker, SegmentWorkerData, ToSegmentWorker } from './segment-messages.ts'
import { type SealJob, SegmentSealing } from './segment-sealing.ts'

/** Segments that are durable as tails and wait; they cost disk (twice their size), no memory. */
const BACKLOG = 8

export interface SegmentSealer extends AsyncDisposable {
  /** A promise holds the caller back. @throws what sealing an earlier segment threw */
  enqueue(job: SealJob): void | Promise<void>
  /** Waits for everything that was enqueued. @throws what sealing threw */
  drain(): Promise<void>
}

export interface SegmentSealerOptions {
  readonly cluster: ClusterRepository
  /** In a thread of its own, or in the caller's for stores that exist only in this process. */
  readonly thread: boolean
  /** A segment was sealed; `damage` says where its WAL does not decode. */
  readonly sealed?: ((job: SealJob, damage: RetakeError | undefined) => void) | undefined
}

export function openSegmentSealer(options: SegmentSealerOptions): SegmentSealer {
  return new QueuedSealer(options.thread ? startWorker(options.cluster) : startInline(options.cluster), options.sealed)
}

interface Hand extends AsyncDisposable {
  seal(job: SealJob): Promise<RetakeError | undefined>
}

class QueuedSealer implements SegmentSealer {
  readonly #hand: Hand
  readonly #sealed: SegmentSealerOptions['sealed']
  #queue: Promise<void> = Promise.resolve()
  #waiting = 0
  #failure: { readonly error: unknown } | undefined

  constructor(hand: Hand, sealed: SegmentSealerOptions['sealed']) {
    this.#hand = hand
    this.#sealed = sealed
  }

  enqueue(job: SealJob): void | Promise<void> {
    if (this.#failure) throw this.#failure.error
    this.#waiting++
    const done = this.#queue.then(() => this.#seal(job))
    this.#queue = done
    if (this.#waiting > BACKLOG) return this.drain()
  }

  async drain(): Promise<void> {
    await this.#queue
    if (this.#failure) throw this.#failure.error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What still waits is durable as a tail; the next start seals it.
    this.#failure ??= { error: new Error('the sealer is closed') }
    await this.#queue
    await this.#hand[Symbol.asyncDispose]()
  }

  async #seal(job: SealJob): Promise<void> {
    if (this.#failure) return
    try {
      this.#sealed?.(job, await this.#hand.seal(job))
    } catch (error) {
      this.#failure = { error }
    } finally {
      this.#waiting--
    }
  }
}

function startInline(cluster: ClusterRepository): Hand {
  const sealing = new SegmentSealing(cluster)
  return { seal: (job) => sealing.seal(job), async [Symbol.asyncDispose]() {} }
}

function startWorker(cluster: ClusterRepository): Hand {
  const workerData: SegmentWorkerData = {
    store: addressOf(cluster.store),
    facts: cluster.facts,
  }
  const worker = new Worker(workerUrl(import.meta.url, './segment-worker'), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
  })
  let answer: PromiseWithResolvers<RetakeError | undefined> | undefined
  let ended: { readonly error: unknown } | undefined
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const end = (error: unknown) => {
    ended ??= { error }
    answer?.reject(ended.error)
  }
  worker.on('message', (message: FromSegmentWorker) => {
    if (message.type === 'sealed') answer?.resolve(message.damage && reviveError(message.damage))
    else answer?.reject(reviveError(message.error))
  })
  worker.on('error', end)
  worker.on('exit', () => end(new Error('the sealing thread ended by itself')))
  const send = (message: ToSegmentWorker) => worker.postMessage(message)
  return {
    async seal(job) {
      if (ended) throw ended.error
      answer = Promise.withResolvers<RetakeError | undefined>()
      send({ type: 'seal', job, sealing: exportSealing(cluster.sealing) })
      return answer.promise
    },
    async [Symbol.asyncDispose]() {
      if (!ended) send({ type: 'close' })
      await exited
      await worker.terminate()
    },
  }
}
