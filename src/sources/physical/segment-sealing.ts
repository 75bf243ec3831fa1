/**
 * Turns the tail of a segment into its final object: read back, decoded for its landmarks, compressed, sealed, durable; only
 * then are the parts of the tail deleted. Done again after a crash, it finds its work and goes on (F5).
 */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { releaseMemory } from '../../base/memory.ts'
import { segmentName } from '../../postgres/lsn.ts'
import { isCoveredByOneRecord } from '../../postgres/wal/long-record.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { segmentName as objectName, type SegmentId } from '../../repository/wal-layout.ts'
import { putSegment, readSegment, readSegmentMeta } from '../../repository/wal-segments.ts'
import { deleteTail, readTail } from '../../repository/wal-tail.ts'
import { SegmentScanner } from './segment-scanner.ts'

export interface SealJob {
  readonly timeline: number
  readonly segment: bigint
  /** The end of a timeline that was left, or the last bytes before a gap. */
  readonly partial: boolean
}

export class SegmentSealing {
  readonly #cluster: ClusterRepository
  readonly #scanner: SegmentScanner

  constructor(cluster: ClusterRepository) {
    this.#cluster = cluster
    this.#scanner = new SegmentScanner(cluster.facts.walSegmentSizeBytes)
  }

  /**
   * @returns where the WAL of the segment does not decode, if it does not (it is stored nevertheless); or that a damaged object
   * has the segment's name, in which case the tail is kept
   * @throws RetakeError `wal.diverged` when the segment is stored with other content; `repo.damaged` when the tail lacks bytes
   */
  async seal(job: SealJob): Promise<RetakeError | undefined> {
    const { timeline, segment, partial } = job
    const place = { timeline, segment }
    const tail = await readTail(this.#cluster, place)
    if (tail === undefined) {
      await this.#assertSealed(job)
      return undefined
    }
    const { validBytes } = tail
    if (!partial && validBytes !== this.#cluster.facts.walSegmentSizeBytes) throw this.#incomplete(job, validBytes)
    if (validBytes > 0) {
      if (!this.#scanner.continuesAt(place)) await this.#lookBack(place)
      const source = this.#scanner.observe(place, eachReleased(tail.bytes))
      try {
        await putSegment(this.#cluster, { ...place, validBytes, partial }, source, () => this.#scanner.findings)
      } catch (error) {
        const { key } = objectName(this.#cluster.facts.name, job)
        if (!isRetakeError(error, 'repo.damaged') || error.details.object !== key) throw error
        // Nothing is overwritten; the tail stays, and is what holds these bytes.
        return error
      }
    }
    await deleteTail(this.#cluster, place)
    return validBytes > 0 ? this.#scanner.damage : undefined
  }

  /** Reads the segment before, and as many more as one record covers, so that a record that crosses the border is not missed after a restart. */
  async #lookBack(place: { readonly timeline: number; readonly segment: bigint }): Promise<void> {
    const { walSegmentSizeBytes } = this.#cluster.facts
    const before: SegmentId[] = []
    for (let segment = place.segment - 1n; segment >= 0n; segment -= 1n) {
      const id = { timeline: place.timeline, segment, partial: false }
      if ((await readSegmentMeta(this.#cluster, id)) === undefined) break
      before.unshift(id)
      const first = await firstPiece(readSegment(this.#cluster, id))
      if (!first || !isCoveredByOneRecord(first, walSegmentSizeBytes)) break
    }
    for (const id of before) for await (const _ of this.#scanner.observe(id, readSegment(this.#cluster, id)));
  }

  async #assertSealed(job: SealJob): Promise<void> {
    if (job.partial || (await readSegmentMeta(this.#cluster, job)) !== undefined) return
    throw this.#incomplete(job, 0)
  }

  #incomplete(job: SealJob, validBytes: number): RetakeError {
    const { walSegmentSizeBytes } = this.#cluster.facts
    const name = segmentName(job, walSegmentSizeBytes)
    return new RetakeError(
      'repo.damaged',
      `Of the WAL segment ${name}, which was received whole, only ${validBytes} of ${walSegmentSizeBytes} bytes can be read back from the archive.`,
      {
        hint: 'Check the storage, then run `retake verify` to see which moments this costs.',
        details: { segment: name, validBytes },
      },
    )
  }
}

/** A record's memory is given back when the next one is asked for: nobody has kept it. */
async function* eachReleased(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece
    releaseMemory(piece)
  }
}

async function firstPiece(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  for await (const piece of pieces) return piece
  return undefined
}
