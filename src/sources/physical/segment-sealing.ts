/**
 * Turns the tail of a segment into its final object: read back, decoded for its landmarks, compressed, sealed, durable; only
 * then are the parts of the tail deleted. Done again after a crash, it finds its work and goes on (F5).
 */
import { RetakeError } from '../../base/errors.ts'
import { segmentName } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
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
   * @returns where the WAL of the segment does not decode, if it does not; it is stored nevertheless
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
      const source = this.#scanner.observe(place, tail.bytes)
      await putSegment(this.#cluster, { ...place, validBytes, partial }, source, () => this.#scanner.findings)
    }
    await deleteTail(this.#cluster, place)
    return validBytes > 0 ? this.#scanner.damage : undefined
  }

  /** Reads the segment before, so that a record that crosses the border is not missed after a restart. */
  async #lookBack(place: { readonly timeline: number; readonly segment: bigint }): Promise<void> {
    const before = { timeline: place.timeline, segment: place.segment - 1n, partial: false }
    if ((await readSegmentMeta(this.#cluster, before)) === undefined) return
    for await (const _ of this.#scanner.observe(before, readSegment(this.#cluster, before)));
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
