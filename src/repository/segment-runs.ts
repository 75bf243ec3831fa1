/**
 * The finished segments of an archive as runs of consecutive ones. There may be a million, and nobody needs as many objects: of each
 * one the stored size is all that its neighbours do not tell.
 */
import type { SegmentSet } from './segment-set.ts'
import { SegmentSequence, type SegmentStretch } from './wal-layout.ts'

export interface SegmentRun extends SegmentStretch {
  /** Of each of its segments, in order. */
  readonly storedBytes: readonly number[]
}

/** Builds runs from a listing, one key after the other. */
export class SegmentRunBuilder {
  readonly #runs: { readonly timeline: number; readonly first: bigint; readonly storedBytes: number[] }[] = []
  readonly #sequence = new SegmentSequence()

  /** True when the key is that of the segment after the last one, which then is added. */
  addNext(key: string, storedBytes: number): boolean {
    if (!this.#sequence.continuesWith(key)) return false
    this.#runs.at(-1)?.storedBytes.push(storedBytes)
    return true
  }

  /** Adds any finished segment. */
  add(
    key: string,
    { timeline, segment, storedBytes }: { timeline: number; segment: bigint; storedBytes: number },
  ): void {
    this.#sequence.restart(key)
    const open = this.#runs.at(-1)
    if (open?.timeline === timeline && segment === open.first + BigInt(open.storedBytes.length))
      open.storedBytes.push(storedBytes)
    else this.#runs.push({ timeline, first: segment, storedBytes: [storedBytes] })
  }

  /** In the order in which they were added. */
  runs(): SegmentRun[] {
    return this.#runs.map(({ timeline, first, storedBytes }) => {
      return { timeline, first, last: first + BigInt(storedBytes.length) - 1n, storedBytes }
    })
  }
}

/** The part of a run that a stretch inside it is. */
export function cutRun(run: SegmentRun, { timeline, first, last }: SegmentStretch): SegmentRun {
  if (first === run.first && last === run.last) return run
  const storedBytes = run.storedBytes.slice(Number(first - run.first), Number(last - run.first) + 1)
  return { timeline, first, last, storedBytes }
}

/** What of the runs is not in a set. */
export function runsOutside(runs: readonly SegmentRun[], set: SegmentSet): SegmentRun[] {
  return runs.flatMap((run) => Array.from(set.outside(run), (stretch) => cutRun(run, stretch)))
}

/** What of the runs is in a set. */
export function runsWithin(runs: readonly SegmentRun[], set: SegmentSet): SegmentRun[] {
  return runs.flatMap((run) => Array.from(set.within(run), (stretch) => cutRun(run, stretch)))
}

export function storedBytesOf(stored: Iterable<{ readonly storedBytes: readonly number[] | number }>): number {
  let sum = 0
  for (const { storedBytes } of stored) {
    if (typeof storedBytes === 'number') sum += storedBytes
    else for (const bytes of storedBytes) sum += bytes
  }
  return sum
}
