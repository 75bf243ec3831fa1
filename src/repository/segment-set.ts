/** Finished segments as stretches: a million of them are a few stretches, and asking is quick however many stretches there are. */
import { partitionPoint } from '../base/partition-point.ts'
import type { SegmentStretch } from './wal-layout.ts'

/** Behind every segment that there can be: positions have 64 bits, and segments at least 2^20 bytes. */
export const LAST_SEGMENT = 2n ** 44n - 1n

export class SegmentSet {
  readonly #stretches = new Map<number, SegmentStretch[]>()

  /** @param stretches in any order; they may overlap */
  constructor(stretches: Iterable<SegmentStretch>) {
    const sorted = [...stretches].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
    for (const { timeline, first, last } of sorted) {
      if (last < first) continue
      const own = this.#stretches.get(timeline)
      const before = own?.at(-1)
      if (!own || !before) this.#stretches.set(timeline, [{ timeline, first, last }])
      else if (first > before.last + 1n) own.push({ timeline, first, last })
      else if (last > before.last) own[own.length - 1] = { ...before, last }
    }
  }

  get isEmpty(): boolean {
    return this.#stretches.size === 0
  }

  /** Of one timeline: ascending, neither overlapping nor adjoining. */
  stretches(timeline: number): readonly SegmentStretch[] {
    return this.#stretches.get(timeline) ?? []
  }

  has(timeline: number, segment: bigint): boolean {
    const candidate = this.stretches(timeline)[this.#firstReaching(timeline, segment)]
    return candidate !== undefined && candidate.first <= segment
  }

  /** What of a stretch is in the set, in order. */
  *within({ timeline, first, last }: SegmentStretch): Generator<SegmentStretch> {
    const own = this.stretches(timeline)
    for (let index = this.#firstReaching(timeline, first); index < own.length; index += 1) {
      const one = own[index]
      if (one === undefined || one.first > last) return
      yield { timeline, first: one.first > first ? one.first : first, last: one.last < last ? one.last : last }
    }
  }

  /** What of a stretch is not in the set, in order. */
  *outside(stretch: SegmentStretch): Generator<SegmentStretch> {
    const { timeline, last } = stretch
    let first = stretch.first
    for (const inside of this.within(stretch)) {
      if (first < inside.first) yield { timeline, first, last: inside.first - 1n }
      first = inside.last + 1n
    }
    if (first <= last) yield { timeline, first, last }
  }

  /** The index of the first stretch that ends at or behind a segment. */
  #firstReaching(timeline: number, segment: bigint): number {
    return partitionPoint(this.stretches(timeline), ({ last }) => last < segment)
  }
}
