/**
 * A few threads that run the same kind of task. `submit` resolves when there is room for the task, so whoever makes tasks is
 * never far ahead of those who do them. The first failure ends everything.
 */
import { type MessagePort, Worker } from 'node:worker_threads'
import { abortedError, type RetakeError, reviveError, type SerializedError, toRetakeError } from './errors.ts'

export interface ThreadPoolOptions<R> {
  /** The module of the threads; it calls {@link serveTasks}. See `workerUrl`. */
  readonly module: URL
  /** Given to each thread as its `workerData`. */
  readonly data: unknown
  readonly threads: number
  readonly onResult: (result: R) => void
  readonly signal?: AbortSignal | undefined
}

/** Each thread has one task in work and one in its inbox. */
const QUEUED_PER_THREAD = 2

type Reply<R> = { readonly result: R } | { readonly error: SerializedError }

export class ThreadPool<T, R> implements AsyncDisposable {
  readonly #options: ThreadPoolOptions<R>
  readonly #threads: { readonly worker: Worker; queued: number; readonly exited: Promise<void> }[] = []
  #failure: RetakeError | undefined
  #wake = Promise.withResolvers<void>()

  constructor(options: ThreadPoolOptions<R>) {
    this.#options = options
    for (let index = 0; index < options.threads; index += 1) this.#start()
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signal?.aborted) this.#onAbort()
  }

  /** @throws RetakeError the first failure of any task */
  async submit(task: T): Promise<void> {
    for (;;) {
      if (this.#failure) throw this.#failure
      const free = this.#threads.reduce((best, one) => (one.queued < best.queued ? one : best))
      if (free.queued < QUEUED_PER_THREAD) {
        free.queued += 1
        free.worker.postMessage(task)
        return
      }
      await this.#wake.promise
    }
  }

  /** Resolves when everything submitted is done. @throws RetakeError the first failure of any task */
  async settle(): Promise<void> {
    while (this.#threads.some((one) => one.queued > 0) && !this.#failure) await this.#wake.promise
    if (this.#failure) throw this.#failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    const idle = this.#threads.every((one) => one.queued === 0)
    for (const { worker } of this.#threads) {
      if (idle) worker.postMessage('close')
      else await worker.terminate()
    }
    await Promise.all(this.#threads.map((one) => one.exited))
  }

  #start(): void {
    const worker = new Worker(this.#options.module, { workerData: this.#options.data })
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const entry = { worker, queued: 0, exited }
    this.#threads.push(entry)
    worker.on('message', (reply: Reply<R>) => {
      entry.queued -= 1
      if ('error' in reply) this.#fail(reviveError(reply.error))
      else this.#options.onResult(reply.result)
      this.#signalProgress()
    })
    worker.on('error', (error) => this.#fail(toRetakeError(error)))
    worker.on('exit', () => {
      if (entry.queued > 0) this.#fail(toRetakeError(new Error('A worker thread ended unexpectedly.')))
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

/** The thread's side: runs each task and answers with its result or its error. `close` runs before the thread ends in order. */
export function serveTasks<T extends object, R>(
  port: MessagePort,
  handlers: { readonly run: (task: T) => Promise<R>; readonly close: () => Promise<void> },
): void {
  const run = async (task: T) => {
    try {
      port.postMessage({ result: await handlers.run(task) } satisfies Reply<R>)
    } catch (error) {
      port.postMessage({ error: toRetakeError(error).toJSON() } satisfies Reply<R>)
    }
  }
  const close = async () => {
    await handlers.close()
    port.close()
  }
  port.on('message', (task: T | 'close') => void (task === 'close' ? close() : run(task)))
}
