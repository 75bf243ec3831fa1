/**
 * The open segment of the WAL. It grows in parts, one per opening of the archive, each a header and sealed records; a part is
 * never continued. A record says how many records of its part were durable when it was written: so an unreadable record that
 * had been acknowledged (damage) is told from one that a crash has torn (normal).
 */
import { assert, RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { PartJoiner } from './part-joiner.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'
import { type OpenPart, openPart } from './tail-parts.ts'
import { type PartReading, readPart, readPartRecords, sealRecord } from './tail-records.ts'
import { parseWalKey, type TailId, type TailPartId, tailPartKey, tailPrefix } from './wal-layout.ts'

/** Writes one part of a tail; calls are made one at a time. */
export class TailWriter implements AsyncDisposable {
  readonly #cluster: ClusterRepository
  readonly #id: TailId
  /** Where every sync makes a part. */
  readonly #joiner: PartJoiner | undefined
  #part: OpenPart
  #endBytes: number

  private constructor(cluster: ClusterRepository, id: TailId, start: { part: OpenPart; offsetBytes: number }) {
    this.#cluster = cluster
    this.#id = id
    this.#joiner = cluster.store.openAppender ? undefined : new PartJoiner(cluster, id)
    this.#part = start.part
    this.#endBytes = start.offsetBytes
  }

  /** Begins a part at an offset inside the segment; it is visible, and empty, at once. */
  static async open(cluster: ClusterRepository, tail: TailId & { readonly offsetBytes: number }): Promise<TailWriter> {
    const part = await openPart(cluster, tail)
    return new TailWriter(cluster, tail, { part, offsetBytes: tail.offsetBytes })
  }

  /** Offset inside the segment after everything appended. */
  get endBytes(): number {
    return this.#endBytes
  }

  /** Appends WAL; durable after the next {@link sync}. The bytes may be reused when it resolves. */
  async append(bytes: Uint8Array): Promise<void> {
    assert(this.#endBytes + bytes.length <= this.#cluster.facts.walSegmentSizeBytes, 'a tail ends with its segment')
    if (this.#part.finished) {
      this.#part = await openPart(this.#cluster, { ...this.#id, offsetBytes: this.#endBytes })
    }
    for (let start = 0; start < bytes.length; start += MAX_FRAME_BYTES) {
      const piece = bytes.subarray(start, start + MAX_FRAME_BYTES)
      const { objectKey, count, durable } = this.#part
      await this.#part.append(sealRecord(objectKey, { index: count, durable, plain: piece }))
      this.#part.count += 1
      this.#endBytes += piece.length
      this.#joiner?.append(piece)
    }
  }

  /** Everything appended before survives a power failure once this resolves. */
  async sync(): Promise<void> {
    const { count, key, offsetBytes } = this.#part
    await this.#part.sync()
    this.#part.durable = count
    this.#joiner?.synced({ key, offsetBytes })
  }

  /** Ends the part; what was not synced may be lost. */
  async close(): Promise<void> {
    await this.#joiner?.settle()
    await this.#part.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

export interface Tail {
  /** Where the bytes begin inside the segment: 0, unless WAL is held only from a later position on. */
  readonly beginBytes: number
  /** Where they end inside the segment. */
  readonly validBytes: number
  /** From `beginBytes` to `validBytes`, in pieces of at most 1 MiB. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * The open segment as far as it is held: parts joined in the order of their offsets, the longest valid prefix. What a crash
 * has torn off was never acknowledged. May be read while it grows.
 * @returns undefined when there is no tail of this segment
 * @throws RetakeError `repo.damaged` when bytes are unreadable or missing that had been acknowledged
 */
export async function readTail(cluster: ClusterRepository, tail: TailId): Promise<Tail | undefined> {
  const readings: PartReading[] = []
  for (const part of await listTailParts(cluster, tail)) {
    const reading = await readPart(cluster, part)
    if (reading) readings.push(reading)
  }
  const [first] = readings
  if (first === undefined) return undefined
  const joined = joinParts(readings)
  const { beginBytes, endBytes } = joined
  return { beginBytes, validBytes: endBytes, bytes: joinedBytes(cluster, joined.slices) }
}

interface PartSlice {
  readonly reading: PartReading
  /** Offsets inside the segment. */
  readonly fromBytes: number
  readonly toBytes: number
}

/** Which part gives which bytes; parts may overlap, because a receiver begins again at what was acknowledged. */
export function joinParts(readings: readonly PartReading[]): {
  readonly beginBytes: number
  readonly endBytes: number
  readonly slices: readonly PartSlice[]
} {
  const beginBytes = readings[0]?.part.offsetBytes ?? 0
  const slices: PartSlice[] = []
  let endBytes = beginBytes
  for (const reading of readings) {
    const { part } = reading
    if (part.offsetBytes > endBytes) {
      throw new RetakeError(
        'repo.damaged',
        `${slices.at(-1)?.reading.key ?? reading.key} is damaged: it ends at offset ${endBytes} of the segment, and the next part begins at ${part.offsetBytes}.`,
        {
          hint: 'Run `retake verify` to see which moments this costs.',
          details: { object: slices.at(-1)?.reading.key ?? reading.key, validBytes: endBytes },
        },
      )
    }
    if (reading.endBytes <= endBytes) continue
    slices.push({ reading, fromBytes: endBytes, toBytes: reading.endBytes })
    endBytes = reading.endBytes
  }
  return { beginBytes, endBytes, slices }
}

async function* joinedBytes(cluster: ClusterRepository, slices: readonly PartSlice[]): AsyncGenerator<Uint8Array> {
  for (const { reading, fromBytes, toBytes } of slices) {
    let position = reading.part.offsetBytes
    for await (const { plain } of readPartRecords(cluster, reading)) {
      const end = position + plain.length
      const piece = plain.subarray(Math.max(0, fromBytes - position), Math.min(plain.length, toBytes - position))
      if (piece.length > 0) yield piece
      position = end
    }
  }
}

/** The parts of one tail in the order of their offsets. */
export async function listTailParts(cluster: ClusterRepository, tail: TailId): Promise<TailPartId[]> {
  const parts: TailPartId[] = []
  for await (const { key } of cluster.store.list(tailPrefix(cluster.facts.name, tail))) {
    const parsed = parseWalKey(cluster.facts.name, key)
    if (parsed?.type === 'tail') parts.push(parsed)
  }
  return parts
}

/** Removes the tail of a segment, once the finished segment is stored. */
export async function deleteTail(cluster: ClusterRepository, tail: TailId): Promise<void> {
  for (const part of await listTailParts(cluster, tail))
    await cluster.store.delete(tailPartKey(cluster.facts.name, part), { copies: 'reachable' })
}
