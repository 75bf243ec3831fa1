/** The hands of a backup: worker threads that store frames, or the caller's own thread when there are none. */
import { Worker } from 'node:worker_threads'
import { assert, reviveError, toRetakeError } from '../../base/errors.ts'
import { workerUrl } from '../../base/threads.ts'
import { openPageKernel } from '../../postgres/page.ts'
import { exportSealing } from '../../repository/sealing.ts'
import { addressOf } from '../../storage/store-address.ts'
import { readPieces } from './direct/read-pieces.ts'
import type { FrameJob } from './frame-cutter.ts'
import type { FrameWorkerData, FromFrameWorker, ToFrameWorker } from './frame-messages.ts'
import { FrameProcessor, type FrameProcessorEvents, type FrameProcessorOptions } from './frame-processor.ts'
import type { FrameOutcome, TaskPiece } from './frame-task.ts'
import type { Slab } from './slab.ts'

export interface FramePoolEvents extends FrameProcessorEvents {
  /** A frame is dealt with (what was stored is durable only after {@link FramePool.finish}); its slot is free again. */
  stored(job: FrameJob, outcome: FrameOutcome): void
  /** Nothing more will be stored. Called once. */
  failed(error: unknown): void
}

export interface FramePoolOptions extends FrameProcessorOptions {
  readonly slab: Slab
  /** 0: no threads; for stores that exist only in this process. */
  readonly workers: number
  /** What is known of the pieces of a frame. */
  readonly pieces: (job: FrameJob) => readonly TaskPiece[]
}

export interface FramePool extends AsyncDisposable {
  submit(job: FrameJob): void
  /** Waits until every frame is stored and every pack is durable and visible; returns the bytes of the packs. */
  finish(): Promise<number>
}

export function openFramePool(options: FramePoolOptions, events: FramePoolEvents): FramePool {
  return options.workers === 0 ? new InlinePool(options, events) : WorkerPool.start(options, events)
}

/** One is being compressed, one waits to hear whether it is held already, and one travels. */
const JOBS_PER_WORKER = 3

/** More than enough for the code and its buffers; a leak shall fail loudly, not eat the machine. */
const WORKER_HEAP_MB = 64

interface Hand {
  readonly worker: Worker
  busy: number
  finish?: ((storedBytes: number) => void) | undefined
  readonly closed: Promise<void>
}

class WorkerPool implements FramePool {
  readonly #options: FramePoolOptions
  readonly #events: FramePoolEvents
  readonly #hands: Hand[] = []
  readonly #waiting: { readonly id: number; readonly job: FrameJob }[] = []
  readonly #jobs = new Map<number, FrameJob>()
  #nextJob = 0
  #failure: { readonly error: unknown } | undefined
  #closing = false
  #drained: (() => void) | undefined
  #rejectFinish: ((error: unknown) => void) | undefined

  private constructor(options: FramePoolOptions, events: FramePoolEvents) {
    this.#options = options
    this.#events = events
  }

  static start(options: FramePoolOptions, events: FramePoolEvents): WorkerPool {
    const pool = new WorkerPool(options, events)
    for (let count = 0; count < options.workers; count++) pool.#hands.push(pool.#startHand())
    return pool
  }

  submit(job: FrameJob): void {
    const id = this.#nextJob++
    this.#jobs.set(id, job)
    this.#waiting.push({ id, job })
    this.#dispatch()
  }

  async finish(): Promise<number> {
    const failed = new Promise<never>((_, reject) => {
      this.#rejectFinish = reject
    })
    failed.catch(() => {})
    if (this.#failure) throw this.#failure.error
    await Promise.race([failed, this.#whenDrained()])
    const finishing = this.#hands.map(
      (hand) =>
        new Promise<number>((resolve) => {
          hand.finish = resolve
          send(hand, { type: 'finish' })
        }),
    )
    const storedBytes = await Promise.race([failed, Promise.all(finishing)])
    return storedBytes.reduce((sum, bytes) => sum + bytes, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    for (const hand of this.#hands) send(hand, { type: 'close' })
    await Promise.all(this.#hands.map((hand) => hand.closed))
    await Promise.all(this.#hands.map((hand) => hand.worker.terminate()))
  }

  #startHand(): Hand {
    const { slab, store, sealing, backupId, compressionLevel, blockSizeBytes, pageRule, packTargetBytes } =
      this.#options
    const workerData: FrameWorkerData = {
      memory: slab.memory,
      store: addressOf(store),
      sealing: exportSealing(sealing),
      backupId,
      compressionLevel,
      blockSizeBytes,
      pageRule,
      packTargetBytes,
    }
    const worker = new Worker(workerUrl(import.meta.url, './frame-worker'), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB, maxYoungGenerationSizeMb: 8 },
    })
    const { promise: closed, resolve: markClosed } = Promise.withResolvers<void>()
    const hand: Hand = { worker, busy: 0, closed }
    worker.on('message', (message: FromFrameWorker) => {
      if (message.type === 'closed') return markClosed()
      try {
        this.#receive(hand, message)
      } catch (error) {
        this.#fail(error)
      }
    })
    worker.on('error', (error) => this.#fail(toRetakeError(error)))
    worker.on('exit', () => {
      markClosed()
      if (!this.#closing) this.#fail(new Error('a worker thread of the backup ended by itself'))
    })
    return hand
  }

  #receive(hand: Hand, message: Exclude<FromFrameWorker, { type: 'closed' }>): void {
    if (this.#failure) return
    if (message.type === 'pack') this.#events.pack(message.pack)
    else if (message.type === 'bundled') this.#events.bundled(message.placements)
    else if (message.type === 'lookup') this.#answer(hand, message)
    else if (message.type === 'failed') this.#fail(reviveError(message.error))
    else if (message.type === 'finished') hand.finish?.(message.storedBytes)
    else {
      const job = this.#jobs.get(message.job)
      assert(job !== undefined, 'a worker answers what it was asked')
      this.#jobs.delete(message.job)
      hand.busy--
      this.#events.stored(job, message.outcome)
      this.#options.slab.release(job.slot)
      this.#dispatch()
      if (this.#jobs.size === 0) this.#drained?.()
    }
  }

  #answer(hand: Hand, { lookup, contentIds }: FromFrameWorker & { type: 'lookup' }): void {
    this.#events.lookUp(contentIds).then(
      (stretches) => send(hand, { type: 'known', lookup, stretches }),
      (error: unknown) => this.#fail(error),
    )
  }

  #dispatch(): void {
    // A frame that came after the close would begin a pack that nobody removes.
    if (this.#closing) return
    while (this.#waiting.length > 0) {
      const hand = this.#hands.reduce((least, other) => (other.busy < least.busy ? other : least))
      if (hand.busy >= JOBS_PER_WORKER) return
      const next = this.#waiting.shift()
      if (next === undefined) return
      hand.busy++
      const { slot, lengthBytes } = next.job
      send(hand, { type: 'frame', job: next.id, slot, lengthBytes, pieces: this.#options.pieces(next.job) })
    }
  }

  #whenDrained(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drained = resolve
    })
  }

  #fail(error: unknown): void {
    if (this.#failure) return
    this.#failure = { error }
    this.#rejectFinish?.(error)
    this.#events.failed(error)
  }
}

class InlinePool implements FramePool {
  readonly #options: FramePoolOptions
  readonly #events: FramePoolEvents
  readonly #processor: FrameProcessor
  #queue: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  constructor(options: FramePoolOptions, events: FramePoolEvents) {
    this.#options = options
    this.#events = events
    this.#processor = new FrameProcessor({ ...options, pageKernel: openPageKernel(options.slab.memory) }, events)
  }

  submit(job: FrameJob): void {
    this.#queue = this.#queue.then(() => this.#store(job))
  }

  async finish(): Promise<number> {
    await this.#queue
    if (this.#failure) throw this.#failure.error
    await this.#processor.finish()
    return this.#processor.storedBytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue
    await this.#processor[Symbol.asyncDispose]()
  }

  async #store(job: FrameJob): Promise<void> {
    if (this.#failure) return
    const { slab, pieces } = this.#options
    try {
      const bytes = slab.view(job.slot).subarray(0, job.lengthBytes)
      readPieces(bytes, job.pieces)
      this.#events.stored(job, await this.#processor.process(bytes, pieces(job)))
      slab.release(job.slot)
    } catch (error) {
      this.#failure = { error }
      this.#events.failed(error)
    }
  }
}

function send(hand: Hand, message: ToFrameWorker): void {
  hand.worker.postMessage(message)
}
