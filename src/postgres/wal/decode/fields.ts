import { type InstantMicros, POSTGRES_EPOCH_MICROS } from '../../../base/instant.ts'
import type { Lsn } from '../../lsn.ts'
import { i64, u16, u32, u64 } from '../bytes.ts'
import type { RelationFile } from '../record-parts.ts'
import type { WalRecordView } from '../record-view.ts'
import type { EventPlace, UnknownEvent, WalEvent } from './event.ts'

/** Why a record is not understood. */
export type Unknown = UnknownEvent['reason']

type BodyOf<E> = E extends WalEvent ? Omit<E, keyof EventPlace> : never
/** An event without its place, which is the same for all of them. */
export type EventBody = BodyOf<WalEvent>

export const RELATION_FILE_BYTES = 12

/** The main data of a record. Positions count from its beginning; whoever reads has compared them with `size`. */
export class Fields {
  readonly #bytes: Uint8Array
  readonly #begin: number
  /** How much is at hand. */
  readonly size: number
  /** More than is at hand where the reader cut it. */
  readonly fullSize: number

  constructor(view: WalRecordView) {
    this.#bytes = view.main
    this.#begin = view.mainBegin
    this.size = view.mainEnd - view.mainBegin
    this.fullSize = view.parts.mainBytes
  }

  /** What to say of a record that ends before `bytes`: the reader may have cut it, or it does not fit its kind. */
  get shortage(): Unknown {
    return this.size < this.fullSize ? 'cut' : 'content'
  }

  u8(at: number): number {
    return this.#bytes[this.#begin + at] as number
  }

  u16(at: number): number {
    return u16(this.#bytes, this.#begin + at)
  }

  u32(at: number): number {
    return u32(this.#bytes, this.#begin + at)
  }

  i32(at: number): number {
    return this.u32(at) | 0
  }

  u64(at: number): bigint {
    return u64(this.#bytes, this.#begin + at)
  }

  lsn(at: number): Lsn {
    return this.u64(at) as Lsn
  }

  /** Microseconds since 2000, as PostgreSQL counts. */
  instant(at: number): InstantMicros {
    return (i64(this.#bytes, this.#begin + at) + POSTGRES_EPOCH_MICROS) as InstantMicros
  }

  /** Whole seconds since 1970. */
  seconds(at: number): InstantMicros {
    return (i64(this.#bytes, this.#begin + at) * 1_000_000n) as InstantMicros
  }

  file(at: number): RelationFile {
    return { tablespace: this.u32(at), database: this.u32(at + 4), relfilenode: this.u32(at + 8) }
  }

  list<T>(at: number, shape: { readonly count: number; readonly itemBytes: number }, read: (at: number) => T): T[] {
    return Array.from({ length: shape.count }, (_, index) => read(at + index * shape.itemBytes))
  }

  /** A copy. */
  bytes(at: number, end: number): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(this.#begin + at, this.#begin + Math.min(end, this.size)))
  }

  /** Up to the first zero byte, or to `end`. */
  text(at: number, end: number): string {
    const field = this.#bytes.subarray(this.#begin + at, this.#begin + Math.min(end, this.size))
    const zero = field.indexOf(0)
    return Buffer.from(zero < 0 ? field : field.subarray(0, zero)).toString('utf8')
  }
}
