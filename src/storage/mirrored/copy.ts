/** One place of a repository that is kept in several: opened when it is needed, with a limit on how long it may take. */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import type { TimeLimits } from '../store-address.ts'
import type { SharedView } from './shared-view.ts'

export interface CopyOptions {
  readonly name: string
  readonly url: string
  readonly index: number
  readonly open: () => Promise<ObjectStore>
  readonly view: SharedView
  readonly limits: TimeLimits
}

export class Copy implements AsyncDisposable {
  readonly name: string
  readonly url: string
  readonly index: number
  readonly #options: CopyOptions
  #store: Promise<ObjectStore> | undefined

  constructor(options: CopyOptions) {
    this.name = options.name
    this.url = options.url
    this.index = options.index
    this.#options = options
  }

  get bit(): number {
    return 1 << this.index
  }

  /** True while it is left alone because it failed. */
  get isResting(): boolean {
    return this.#options.view.isResting(this.index)
  }

  /** A question: short. @throws RetakeError what the place said, or `timeout` */
  ask<T>(action: (store: ObjectStore) => Promise<T>): Promise<T> {
    return this.#run(action, this.#options.limits.askMs)
  }

  /** Moves bytes. @throws RetakeError what the place said, or `timeout` */
  move<T>(action: (store: ObjectStore) => Promise<T>): Promise<T> {
    return this.#run(action, this.#options.limits.moveMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => undefined)
    this.#store = undefined
    await store?.[Symbol.asyncDispose]()
  }

  async #run<T>(action: (store: ObjectStore) => Promise<T>, limitMs: number): Promise<T> {
    const { view } = this.#options
    try {
      const result = await withLimit(
        this.#opened().then((store) => action(store)),
        { limitMs, copy: this.name, url: this.url },
      )
      view.answered(this.index)
      return result
    } catch (error) {
      if (isFailureOfPlace(error)) view.failed(this.index)
      throw error
    }
  }

  #opened(): Promise<ObjectStore> {
    this.#store ??= this.#options.open().catch((error: unknown) => {
      this.#store = undefined
      throw error
    })
    return this.#store
  }
}

/** Whether the place is at fault, not the request. */
export function isFailureOfPlace(error: unknown): boolean {
  // A place that keeps a lock does what it should.
  if (!isRetakeError(error) || error.code === 'storage.locked') return false
  return error.code.startsWith('storage.') || error.code === 'timeout' || error.code === 'repo.missing'
}

/** What was begun may still end later; nobody waits for it any more. */
async function withLimit<T>(
  promise: Promise<T>,
  options: { readonly limitMs: number; readonly copy: string; readonly url: string },
): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const seconds = options.limitMs / 1000
    reject(
      new RetakeError(
        'storage.failed',
        `The copy "${options.copy}" (${options.url}) did not answer within ${seconds} s.`,
        {
          details: { copy: options.copy },
        },
      ),
    )
  }, options.limitMs)
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
    promise.catch(() => {})
  }
}
