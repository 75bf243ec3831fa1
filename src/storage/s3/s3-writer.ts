/**
 * Writes an object piece by piece. What fits into one part is sent by one request when it is committed; of a larger object, the
 * parts go out (or into a spool file) while further ones are gathered. Memory is bounded by the parts under way.
 */
import { releaseBackingMemory } from '../../base/memory.ts'
import { bodyPieces } from '../keys.ts'
import type { ObjectBody, ObjectWriter } from '../object-store.ts'
import { brokenWriterError } from '../storage-errors.ts'
import type { LargeWrite } from './large-write.ts'
import type { LargeWrites } from './large-writes.ts'
import type { S3Place } from './s3-place.ts'
import { putIfAbsent } from './s3-put.ts'

/** What is gathered first, and the size of an object that is sent at once. */
export const FIRST_PART_BYTES = 8 * 1024 * 1024

export class S3Writer implements ObjectWriter {
  readonly #place: S3Place
  readonly #key: string
  readonly #large: LargeWrites
  #state: 'open' | 'broken' | 'closed' = 'open'
  #gathering: Buffer | undefined
  #gatheredBytes = 0
  /** Begun when the first part is full. */
  #write: LargeWrite | undefined

  constructor(place: S3Place, options: { readonly key: string; readonly large: LargeWrites }) {
    this.#place = place
    this.#key = options.key
    this.#large = options.large
  }

  async write(body: ObjectBody): Promise<void> {
    await this.#attempt(async () => {
      for (const piece of bodyPieces(body)) await this.#gather(piece)
    })
  }

  async commit(): Promise<boolean> {
    const committed = await this.#attempt(async () => {
      const rest = this.#gathering?.subarray(0, this.#gatheredBytes) ?? Buffer.alloc(0)
      if (this.#write) return await this.#write.commit(rest)
      return await putIfAbsent(this.#place, { key: this.#key, bytes: rest })
    })
    await this[Symbol.asyncDispose]()
    return committed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    const write = this.#write
    this.#write = undefined
    await write?.[Symbol.asyncDispose]()
    if (this.#gathering) releaseBackingMemory(this.#gathering)
    this.#gathering = undefined
  }

  async #gather(piece: Uint8Array): Promise<void> {
    let rest = piece
    while (rest.length > 0) {
      // Its pages take memory only as they are filled.
      this.#gathering ??= Buffer.allocUnsafeSlow(FIRST_PART_BYTES)
      const taken = rest.subarray(0, this.#gathering.length - this.#gatheredBytes)
      this.#gathering.set(taken, this.#gatheredBytes)
      this.#gatheredBytes += taken.length
      rest = rest.subarray(taken.length)
      // A part is sent only when something follows, so that the last one is never empty.
      if (this.#gatheredBytes === this.#gathering.length && rest.length > 0) await this.#send(this.#gathering)
    }
  }

  async #send(full: Buffer): Promise<void> {
    this.#gathering = undefined
    this.#gatheredBytes = 0
    this.#write ??= await this.#large.begin(this.#key)
    this.#gathering = await this.#write.add(full)
  }

  async #attempt<T>(action: () => Promise<T>): Promise<T> {
    if (this.#state !== 'open') throw brokenWriterError(this.#key, this.#place.url)
    try {
      return await action()
    } catch (error) {
      this.#state = 'broken'
      throw error
    }
  }
}
