/**
 * An object that grows in several copies at once. A barrier counts when every copy that is due has it, or is recorded as having missed it. A
 * copy that joins cannot take it up in the middle: the appender then fails, and its owner begins a new object everywhere.
 */
import { RetakeError } from '../../base/errors.ts'
import type { ObjectAppender, ObjectBody } from '../object-store.ts'
import type { Copy } from './copy.ts'
import type { CopySet } from './copy-set.ts'
import { ownBytes } from './own-bytes.ts'

export interface FanOutAppenderOptions {
  readonly key: string
  readonly due: () => readonly Copy[]
  readonly closed: (appender: FanOutAppender) => void
}

export class FanOutAppender implements ObjectAppender {
  readonly #set: CopySet
  readonly #options: FanOutAppenderOptions
  readonly #branches = new Map<Copy, ObjectAppender>()
  #failure: unknown

  private constructor(set: CopySet, options: FanOutAppenderOptions) {
    this.#set = set
    this.#options = options
  }

  /** @throws RetakeError `repo.conflict` when the primary has an object of this name */
  static async open(set: CopySet, copies: readonly Copy[], options: FanOutAppenderOptions): Promise<FanOutAppender> {
    const appender = new FanOutAppender(set, options)
    try {
      // One after the other: the primary says first whether the name is free.
      for (const copy of copies) {
        try {
          const branch = await copy.move(async (store) => {
            if (store.openAppender) return await store.openAppender(options.key)
            throw new RetakeError('storage.failed', `The copy "${copy.name}" cannot append.`, { retry: 'never' })
          })
          appender.#branches.set(copy, branch)
        } catch (error) {
          set.drop(new Map([[copy, error]]))
        }
      }
      await set.settle()
      return appender
    } catch (error) {
      await appender[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The copies that it is being written to. */
  get copies(): readonly Copy[] {
    return [...this.#branches.keys()]
  }

  async append(body: ObjectBody): Promise<void> {
    const own = ownBytes(body)
    await this.#onAll((copy, branch) => copy.move(() => branch.append(own)))
  }

  async sync(): Promise<void> {
    await this.#onAll((copy, branch) => copy.move(() => branch.sync()))
    await this.#attempt(async () => {
      await this.#set.refresh()
      await this.#set.settle()
      const joined = this.#options.due().find((copy) => !this.#branches.has(copy))
      if (joined) throw joinedMeanwhile(joined, this.#options.key)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.closed(this)
    this.#failure ??= new Error(`the appender of ${this.#options.key} is closed`)
    const branches = [...this.#branches]
    this.#branches.clear()
    await Promise.all(
      branches.map(([copy, branch]) => copy.ask(async () => branch[Symbol.asyncDispose]()).catch(() => {})),
    )
  }

  async #onAll(action: (copy: Copy, branch: ObjectAppender) => Promise<void>): Promise<void> {
    await this.#attempt(async () => {
      const failures = new Map<Copy, unknown>()
      await Promise.all(
        [...this.#branches].map(async ([copy, branch]) => {
          try {
            await action(copy, branch)
          } catch (error) {
            failures.set(copy, error)
          }
        }),
      )
      this.#set.drop(failures)
      for (const copy of failures.keys()) {
        const branch = this.#branches.get(copy)
        this.#branches.delete(copy)
        if (branch) void copy.ask(async () => branch[Symbol.asyncDispose]()).catch(() => {})
      }
      if (this.#branches.size === 0) throw [...failures.values()][0]
    })
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      await action()
    } catch (error) {
      this.#failure = error
      throw error
    }
  }
}

function joinedMeanwhile(copy: Copy, key: string): RetakeError {
  return new RetakeError(
    'storage.failed',
    `The copy "${copy.name}" has caught up; ${key} ends here and is begun anew on all copies.`,
    { details: { copy: copy.name, object: key } },
  )
}
