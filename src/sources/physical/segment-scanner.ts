/**
 * Reads the records of finished segments, for what a restore wants to know without opening them: when transactions ended in
 * a segment, which ones, and the restore points. Its reader goes on from segment to segment, because records cross borders.
 */
import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import { formatInstant, type InstantMicros } from '../../base/instant.ts'
import { formatLsn, segmentStart } from '../../postgres/lsn.ts'
import { isLandmarkRecord, landmarkOf, type WalLandmark } from '../../postgres/wal/landmarks.ts'
import { WalReader } from '../../postgres/wal/reader.ts'
import type { SegmentFacts } from '../../repository/wal-segments.ts'

export interface ScannedSegment {
  readonly timeline: number
  readonly segment: bigint
}

export class SegmentScanner {
  readonly #segmentSizeBytes: number
  #reader: WalReader | undefined
  #next: ScannedSegment | undefined
  #tally = new Tally()
  #damage: RetakeError | undefined

  constructor(segmentSizeBytes: number) {
    this.#segmentSizeBytes = segmentSizeBytes
  }

  /** Whether the last segment that was scanned is the one before this. */
  continuesAt(place: ScannedSegment): boolean {
    return this.#next?.timeline === place.timeline && this.#next.segment === place.segment
  }

  /**
   * Passes the bytes of a segment through, from its first one. A record counts for the segment in which it ends; one that
   * began in a segment that was not scanned is passed over.
   */
  async *observe(place: ScannedSegment, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const startLsn = segmentStart(place.segment, this.#segmentSizeBytes)
    if (!this.continuesAt(place) || this.#reader === undefined) {
      this.#reader = new WalReader({ segmentSizeBytes: this.#segmentSizeBytes, startLsn, wanted: isLandmarkRecord })
    }
    this.#tally = new Tally()
    this.#damage = undefined
    for await (const piece of pieces) {
      this.#read(piece)
      yield piece
    }
    this.#next = { timeline: place.timeline, segment: place.segment + 1n }
  }

  /** What was found in the segment that was observed last. */
  get findings(): SegmentFacts {
    return this.#tally.findings()
  }

  /** Where the segment does not decode. It is archived as it is: what the server wrote is not ours to change. */
  get damage(): RetakeError | undefined {
    return this.#damage
  }

  #read(piece: Uint8Array): void {
    const reader = this.#reader
    if (reader === undefined) return
    try {
      for (const record of reader.push(piece)) {
        const landmark = landmarkOf(record, reader.major ?? 0)
        if (landmark) this.#tally.note(landmark)
      }
    } catch (error) {
      if (!isRetakeError(error, 'wal.damaged')) throw error
      this.#damage = error
      // The next segment begins with a fresh reader.
      this.#reader = undefined
    }
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
        this.#restorePoints.push({
          name: landmark.name,
          at: formatInstant(landmark.at),
          lsn: formatLsn(landmark.endLsn),
        })
        this.#noteTime(landmark.at)
        return
      default:
    }
  }

  findings(): SegmentFacts {
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
