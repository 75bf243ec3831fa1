/**
 * The open end of the WAL archive. Bytes are gathered while the previous ones are made durable (group commit), and a position
 * counts as flushed only when everything before it would survive a power failure (R1, F7): what the server hears is never
 * more than what is held.
 */
import { assert, RetakeError } from '../../base/errors.ts'
import { formatLsn, type Lsn, segmentOf, segmentOffset, segmentStart } from '../../postgres/lsn.ts'

/** Two buffers of this size: one gathers, the other is on its way to the disk. More than this waits in the socket. */
const GATHER_BYTES = 8 * 1024 * 1024

/** The largest sealed record. */
const RECORD_BYTES = 1024 * 1024

/** When what was gathered is made durable. */
export interface TailPace {
  /** How long little data may wait for company; the price is this much more of an RPO. */
  readonly pauseMs: number
  /** From so much on, a barrier is worth its cost at once. */
  readonly worthwhileBytes: number
}

/** A barrier on a disk costs a few milliseconds. */
export const DISK_PACE: TailPace = { pauseMs: 50, worthwhileBytes: 512 * 1024 }

/** A request to a bucket costs tens of milliseconds, and money; with this there are at most two a second while little changes. */
export const BUCKET_PACE: TailPace = { pauseMs: 450, worthwhileBytes: 4 * 1024 * 1024 }

/** One growing part of the open segment, as the archive writes it. */
export interface TailPart {
  append(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface WalTailOptions {
  readonly timeline: number
  /** The first byte that will be written. Everything before it is durable already. */
  readonly startLsn: Lsn
  readonly segmentSizeBytes: number
  /** Commit at once, because transactions wait for it on the server. */
  readonly synchronous: boolean
  /** Default: that of a disk. */
  readonly pace?: TailPace | undefined
  /** The part that holds the open segment up to `startLsn` and is to be continued. */
  readonly part?: TailPart | undefined
  readonly openPart: (segment: bigint, offsetBytes: number) => Promise<TailPart>
  /** Everything before `lsn` is durable now. */
  readonly flushed: (lsn: Lsn) => void
  /** A segment is complete and durable; a promise holds the writing back. */
  readonly segmentComplete: (segment: bigint) => void | Promise<void>
  readonly failed: (error: unknown) => void
}

export class WalTail implements AsyncDisposable {
  readonly #options: WalTailOptions
  readonly #pace: TailPace
  #gathering = Buffer.allocUnsafeSlow(GATHER_BYTES)
  #spare = Buffer.allocUnsafeSlow(GATHER_BYTES)
  #gatheredBytes = 0
  /** The end of what was received. */
  #endLsn: Lsn
  #writtenLsn: Lsn
  #flushedLsn: Lsn
  #part: TailPart | undefined
  #running: Promise<void> | undefined
  #hurry: (() => void) | undefined
  #settling = false
  #room: PromiseWithResolvers<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(options: WalTailOptions) {
    this.#options = options
    this.#pace = options.pace ?? DISK_PACE
    this.#endLsn = options.startLsn
    this.#writtenLsn = options.startLsn
    this.#flushedLsn = options.startLsn
    this.#part = options.part
  }

  get endLsn(): Lsn {
    return this.#endLsn
  }

  get flushedLsn(): Lsn {
    return this.#flushedLsn
  }

  /**
   * Takes over a copy of the bytes; a returned promise means that no more can be gathered just now.
   * @throws RetakeError `postgres.protocol` when the bytes do not follow the last ones
   */
  write(startLsn: Lsn, bytes: Uint8Array): void | Promise<void> {
    if (this.#failure) throw this.#failure.error
    if (startLsn !== this.#endLsn) {
      throw new RetakeError(
        'postgres.protocol',
        `The server sent WAL from ${formatLsn(startLsn)} where ${formatLsn(this.#endLsn)} was due; nothing of it was stored.`,
        { retry: 'later' },
      )
    }
    const room = GATHER_BYTES - this.#gatheredBytes
    const part = bytes.subarray(0, room)
    this.#gathering.set(part, this.#gatheredBytes)
    this.#gatheredBytes += part.length
    this.#endLsn = (this.#endLsn + BigInt(part.length)) as Lsn
    this.#start()
    if (this.#gatheredBytes >= this.#pace.worthwhileBytes) this.#hurry?.()
    if (part.length < bytes.length) return this.#writeRest(bytes.subarray(part.length))
  }

  /** Resolves when everything that was written is durable. */
  async settle(): Promise<void> {
    this.#settling = true
    try {
      while (this.#running) {
        this.#hurry?.()
        await this.#running
      }
    } finally {
      this.#settling = false
    }
    if (this.#failure) throw this.#failure.error
  }

  /** Closes the open part without a further barrier: what was not flushed was not promised to anybody. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= { error: new Error('the tail is closed') }
    this.#hurry?.()
    await this.#running
    this.#room?.reject(this.#failure.error)
    const part = this.#part
    this.#part = undefined
    await part?.close()
  }

  async #writeRest(bytes: Uint8Array): Promise<void> {
    this.#room ??= Promise.withResolvers<void>()
    this.#room.promise.catch(() => {})
    await this.#room.promise
    await this.write(this.#endLsn, bytes)
  }

  #start(): void {
    if (this.#running || this.#failure) return
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    try {
      while (this.#gatheredBytes > 0 && !this.#failure) {
        await this.#wait()
        if (this.#failure) return
        const bytes = this.#swap()
        await this.#store(bytes)
      }
    } catch (error) {
      this.#failure ??= { error }
      this.#room?.reject(error)
      this.#options.failed(error)
    } finally {
      // In the same turn as the last look at what was gathered: a write after it must start anew.
      this.#running = undefined
    }
  }

  /** Lets little data wait for more, unless somebody waits for it. */
  async #wait(): Promise<void> {
    const { pauseMs, worthwhileBytes } = this.#pace
    if (this.#options.synchronous || this.#settling || this.#gatheredBytes >= worthwhileBytes) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#hurry = undefined
  }

  /** What was gathered; from now on the other buffer gathers. */
  #swap(): Uint8Array {
    const bytes = this.#gathering.subarray(0, this.#gatheredBytes)
    const gathered = this.#gathering
    this.#gathering = this.#spare
    this.#spare = gathered
    this.#gatheredBytes = 0
    this.#room?.resolve()
    this.#room = undefined
    return bytes
  }

  async #store(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      const { segmentSizeBytes } = this.#options
      const segment = segmentOf(this.#writtenLsn, segmentSizeBytes)
      const offsetBytes = segmentOffset(this.#writtenLsn, segmentSizeBytes)
      const part = rest.subarray(0, segmentSizeBytes - offsetBytes)
      await this.#append({ segment, offsetBytes, bytes: part })
      rest = rest.subarray(part.length)
      this.#writtenLsn = (this.#writtenLsn + BigInt(part.length)) as Lsn
      if (this.#writtenLsn === segmentStart(segment + 1n, segmentSizeBytes)) await this.#completeSegment(segment)
    }
    await this.#part?.sync()
    this.#flush()
  }

  async #append(at: {
    readonly segment: bigint
    readonly offsetBytes: number
    readonly bytes: Uint8Array
  }): Promise<void> {
    this.#part ??= await this.#options.openPart(at.segment, at.offsetBytes)
    for (let offset = 0; offset < at.bytes.length; offset += RECORD_BYTES) {
      await this.#part.append(at.bytes.subarray(offset, offset + RECORD_BYTES))
    }
  }

  async #completeSegment(segment: bigint): Promise<void> {
    const part = this.#part
    assert(part !== undefined, 'a segment that is complete was being written')
    await part.sync()
    this.#part = undefined
    await part.close()
    this.#flush()
    await this.#options.segmentComplete(segment)
  }

  #flush(): void {
    this.#flushedLsn = this.#writtenLsn
    this.#options.flushed(this.#flushedLsn)
  }
}
