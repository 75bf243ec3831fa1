/** Writes one object piece by piece into several copies at once, held back by the slowest; one that fails is left behind. */

import { releaseMemory } from '../../base/memory.ts'
import type { ObjectBody, ObjectWriter } from '../object-store.ts'
import type { Copy } from './copy.ts'
import type { CopySet } from './copy-set.ts'
import { ownBytes } from './own-bytes.ts'
import { putCopy, spread } from './spread.ts'

export interface FanOutOptions {
  readonly key: string
  readonly due: () => readonly Copy[]
}

export class FanOutWriter implements ObjectWriter {
  readonly #set: CopySet
  readonly #options: FanOutOptions
  readonly #branches: Map<Copy, ObjectWriter>

  private constructor(set: CopySet, options: FanOutOptions, branches: Map<Copy, ObjectWriter>) {
    this.#set = set
    this.#options = options
    this.#branches = branches
  }

  static async open(set: CopySet, copies: readonly Copy[], options: FanOutOptions): Promise<FanOutWriter> {
    const branches = new Map<Copy, ObjectWriter>()
    const failures = new Map<Copy, unknown>()
    await Promise.all(
      copies.map(async (copy) => {
        try {
          branches.set(copy, await copy.move((store) => store.openWriter(options.key)))
        } catch (error) {
          failures.set(copy, error)
        }
      }),
    )
    const writer = new FanOutWriter(set, options, branches)
    try {
      set.drop(failures)
    } catch (error) {
      await writer[Symbol.asyncDispose]()
      throw error
    }
    return writer
  }

  async write(body: ObjectBody): Promise<void> {
    const own = ownBytes(body)
    if (await this.#onAll((copy, writer) => copy.move(() => writer.write(own)))) releaseMemory(own)
  }

  async commit(): Promise<boolean> {
    const { key, due } = this.#options
    const winner = await this.#commitFirst()
    if (!winner.created) {
      await spread(this.#set, { key, due, first: winner.copy })
      return false
    }
    const outcome = await spread(this.#set, {
      key,
      due,
      first: winner.copy,
      put: (copy) => this.#put(winner.copy, copy),
    })
    return outcome === 'done'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const branches = [...this.#branches]
    this.#branches.clear()
    await Promise.all(branches.map(([copy, writer]) => close(copy, writer)))
  }

  /** The primary decides; when it fails, the next one does. */
  async #commitFirst(): Promise<{ copy: Copy; created: boolean }> {
    for (;;) {
      const copy = this.#first()
      const writer = this.#branches.get(copy)
      this.#branches.delete(copy)
      try {
        const created = await copy.move(async () => (await writer?.commit()) ?? false)
        return { copy, created }
      } catch (error) {
        this.#set.drop(new Map([[copy, error]]))
        if (writer) await close(copy, writer)
      }
    }
  }

  #first(): Copy {
    const first = this.#options.due().find((copy) => this.#branches.has(copy)) ?? [...this.#branches.keys()][0]
    if (first === undefined) throw new Error('assertion failed: a writer has a branch')
    return first
  }

  async #put(first: Copy, copy: Copy): Promise<boolean> {
    const writer = this.#branches.get(copy)
    if (writer) {
      this.#branches.delete(copy)
      try {
        return await copy.move(() => writer.commit())
      } finally {
        await close(copy, writer)
      }
    }
    // It joined while the object was being written.
    return await putCopy(first, copy, this.#options.key)
  }

  /** True when every copy has done it. */
  async #onAll(action: (copy: Copy, writer: ObjectWriter) => Promise<void>): Promise<boolean> {
    const failures = new Map<Copy, unknown>()
    await Promise.all(
      [...this.#branches].map(async ([copy, writer]) => {
        try {
          await action(copy, writer)
        } catch (error) {
          failures.set(copy, error)
        }
      }),
    )
    if (failures.size === 0) return true
    this.#set.drop(failures)
    for (const copy of failures.keys()) {
      const writer = this.#branches.get(copy)
      this.#branches.delete(copy)
      if (writer) await close(copy, writer)
    }
    if (this.#branches.size === 0) throw [...failures.values()][0]
    return false
  }
}

/** Called while something else goes wrong, which must not be hidden or held up by it. */
async function close(copy: Copy, writer: AsyncDisposable): Promise<void> {
  await copy.ask(async () => writer[Symbol.asyncDispose]()).catch(() => {})
}
