/**
 * The memory of a backup: a fixed number of shared slots, each as large as the largest frame. Whatever the size of the
 * database, no more plaintext than this is held; when every slot is taken, the caller waits and so does the server.
 */
import { assert } from '../../base/errors.ts'
import { type SharedMemory, sharedMemory } from '../../postgres/kernel/kernel.ts'

/** The largest frame, and the size of a slot: 128 pages of 8 KiB. */
export const FRAME_BYTES = 1024 * 1024

interface Waiter {
  resolve(slot: number): void
  reject(error: unknown): void
}

export class Slab {
  /** Shared, so that a worker reads a slot in place. */
  readonly memory: SharedMemory
  readonly #views: Uint8Array[] = []
  readonly #free: number[] = []
  readonly #waiters: Waiter[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(slotCount: number) {
    assert(slotCount > 0, 'a slab has at least one slot')
    this.memory = sharedMemory(slotCount * FRAME_BYTES)
    for (let slot = slotCount - 1; slot >= 0; slot--) this.#free.push(slot)
    for (let slot = 0; slot < slotCount; slot++) this.#views.push(slotView(this.memory, slot))
  }

  /** The bytes of a slot. */
  view(slot: number): Uint8Array {
    const view = this.#views[slot]
    assert(view !== undefined, `the slab has a slot ${slot}`)
    return view
  }

  /** A free slot at once, or a promise of the next one to be released. Rejects when the slab was failed. */
  acquire(): number | Promise<number> {
    if (this.#failure) return Promise.reject(this.#failure.error)
    const slot = this.#free.pop()
    if (slot !== undefined) return slot
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  release(slot: number): void {
    const waiter = this.#waiters.shift()
    if (waiter) waiter.resolve(slot)
    else this.#free.push(slot)
  }

  /** Whoever waits, or will wait, gets this error: no slot will come free any more. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}

/** How a worker sees one slot of the shared memory. */
export function slotView(memory: SharedMemory, slot: number): Uint8Array {
  return new Uint8Array(memory.buffer, slot * FRAME_BYTES, FRAME_BYTES)
}
