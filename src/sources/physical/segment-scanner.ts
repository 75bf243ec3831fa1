/**
 * Reads the records of finished segments, for what a restore wants to know without opening them: when transactions ended in
 * a segment, which ones, and the restore points. Its reader goes on from segment to segment, because records cross borders.
 */
import { formatInstant, type InstantMicros } from '../../base/instant.ts'
import { formatLsn, segmentStart } from '../../postgres/lsn.ts'
import { landmarkOf, type WalLandmark } from '../../postgres/wal/landmark.ts'
import { WalReader } from '../../postgres/wal/reader.ts'
import type { SegmentMeta } from '../../repository/wal-archive.ts'

export type SegmentFindings = Pick<SegmentMeta, 'firstAt' | 'lastAt' | 'commits' | 'minXid' | 'maxXid' | 'restorePoints'>

export interface ScannedSegment {
  readonly timeline: number
  readonly segment: bigint
}

export class SegmentScanner {
  readonly #segmentSizeBytes: number
  #reader: WalReader | undefined
  #next: ScannedSegment | undefined

  constructor(segmentSizeBytes: number) {
    this.#segmentSizeBytes = segmentSizeBytes
  }

  /** Whether the last segment that was scanned is the one before this. */
  continuesAt(place: ScannedSegment): boolean {
    return this.#next?.timeline === place.timeline && this.#next.segment === place.segment
  }

  /** Makes ready for a segment whose predecessor is not at hand: a record that began there is skipped. */
  startAt(place: ScannedSegment): void {
    const startLsn = segmentStart(place.segment, this.#segmentSizeBytes)
    this.#reader = new WalReader({ segmentSizeBytes: this.#segmentSizeBytes, startLsn })
    this.#next = place
  }

  /** Reads a segment from its first byte; what is found belongs to the segment in which a record ends. */
  async scan(place: ScannedSegment, pieces: AsyncIterable<Uint8Array>): Promise<SegmentFindings> {
    if (!this.continuesAt(place)) this.startAt(place)
    const tally = new Tally()
    for await (const piece of pieces) {
      for (const record of this.#reader?.push(piece) ?? []) {
        const landmark = landmarkOf(record)
        if (landmark) tally.note(landmark)
      }
    }
    this.#next = { timeline: place.timeline, segment: place.segment + 1n }
    return tally.findings()
  }
}

class Tally {
  #firstAt: InstantMicros | undefined
  #lastAt: InstantMicros | undefined
  #commits = 0
  #minXid: number | undefined
  #maxXid: number | undefined
  readonly #restorePoints: { readonly name: string; readonly at: string; readonly lsn: string }[] = []

  note(landmark: WalLandmark): void {
    switch (landmark.type) {
      case 'commit':
      case 'commit-prepared':
        this.#commits++
        this.#noteXid(landmark.xid)
        this.#noteTime(landmark.at)
        return
      case 'abort':
      case 'abort-prepared':
        this.#noteXid(landmark.xid)
        this.#noteTime(landmark.at)
        return
      case 'restore-point':
        this.#restorePoints.push({ name: landmark.name, at: formatInstant(landmark.at), lsn: formatLsn(landmark.endLsn) })
        this.#noteTime(landmark.at)
        return
      default:
    }
  }

  findings(): SegmentFindings {
    return {
      commits: this.#commits,
      restorePoints: this.#restorePoints,
      ...(this.#firstAt === undefined ? {} : { firstAt: formatInstant(this.#firstAt) }),
      ...(this.#lastAt === undefined ? {} : { lastAt: formatInstant(this.#lastAt) }),
      ...(this.#minXid === undefined ? {} : { minXid: this.#minXid }),
      ...(this.#maxXid === undefined ? {} : { maxXid: this.#maxXid }),
    }
  }

  /** Commit times need not ascend: backends take the time before they get their place in the log. */
  #noteTime(at: InstantMicros): void {
    if (this.#firstAt === undefined || at < this.#firstAt) this.#firstAt = at
    if (this.#lastAt === undefined || at > this.#lastAt) this.#lastAt = at
  }

  #noteXid(xid: number): void {
    if (this.#minXid === undefined || xid < this.#minXid) this.#minXid = xid
    if (this.#maxXid === undefined || xid > this.#maxXid) this.#maxXid = xid
  }
}
