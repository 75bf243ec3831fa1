/**
 * Turns the tail of a segment into its final object: read back, decoded for its landmarks, compressed, sealed, durable; only
 * then are the parts of the tail deleted. Done again after a crash, it finds its work and goes on (F5).
 */
import { RetakeError } from '../../base/errors.ts'
import { segmentName } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { createContentHasher } from '../../repository/content-hash.ts'
import { deleteTail, putSegment, readSegment, readSegmentMeta, readTail } from '../../repository/wal-archive.ts'
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

  /** @throws RetakeError `wal.diverged` when the segment is stored with other content; `repo.damaged` when the tail lacks bytes */
  async seal(job: SealJob): Promise<void> {
    const { timeline, segment, partial } = job
    const place = { timeline, segment }
    const tail = await readTail(this.#cluster, place)
    if (tail === undefined) return this.#assertSealed(job)
    const { validBytes } = tail
    if (!partial && validBytes !== this.#cluster.facts.walSegmentSizeBytes) throw this.#incomplete(job, validBytes)
    if (validBytes > 0) {
      if (!this.#scanner.continuesAt(place)) await this.#lookBack(place)
      const hasher = createContentHasher(this.#cluster.sealing.contentKey)
      const findings = await this.#scanner.scan(place, tapped(tail.bytes, (piece) => hasher.update(piece)))
      const meta = { validBytes, ...findings, contentId: hasher.digest() }
      const again = await readTail(this.#cluster, place)
      await putSegment(this.#cluster, { ...place, validBytes, partial }, again?.bytes ?? nothing(), meta)
    }
    await deleteTail(this.#cluster, place)
  }

  /** Reads the segment before, so that a record that crosses the border is not missed after a restart. */
  async #lookBack(place: { readonly timeline: number; readonly segment: bigint }): Promise<void> {
    const before = { timeline: place.timeline, segment: place.segment - 1n }
    const meta = await readSegmentMeta(this.#cluster, { ...before, partial: false })
    if (meta) await this.#scanner.scan(before, readSegment(this.#cluster, { ...before, partial: false }))
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
      { hint: 'Check the storage, then run `retake verify` to see which moments this costs.', details: { segment: name, validBytes } },
    )
  }
}

async function* tapped(source: AsyncIterable<Uint8Array>, tap: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    tap(piece)
    yield piece
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
