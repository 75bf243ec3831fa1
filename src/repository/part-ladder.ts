/**
 * Which small parts of the open segment are to be joined. Where storage cannot append, every barrier makes a part; a slow server
 * would leave thousands of them in one segment, and reading them would take minutes. So each {@link RUNGS} neighbours of a size
 * class become one of the next class: no part is written more often than there are classes. Pure bookkeeping.
 */

/** So many parts become one. */
export const RUNGS = 32
/** Parts that together are larger are few enough as they are; also what the bookkeeping may keep in memory. */
export const MOST_BYTES = 4 * 1024 * 1024

export interface LadderPart {
  readonly key: string
  /** Where it begins inside the segment. */
  readonly offsetBytes: number
  /** Its content, which the joined part needs. */
  readonly plain: readonly Uint8Array[]
  readonly sizeBytes: number
}

interface Rung extends LadderPart {
  readonly level: number
}

export class PartLadder {
  #rungs: Rung[] = []

  /** A part that is durable, after all others. */
  add(part: LadderPart): void {
    this.#rungs.push({ ...part, level: 0 })
    this.#forget()
  }

  /** Neighbours that are to be written as one part now, oldest first; undefined when there are none. */
  due(): readonly LadderPart[] | undefined {
    for (let end = this.#rungs.length; end >= RUNGS; end--) {
      const group = this.#rungs.slice(end - RUNGS, end)
      const level = group[0]?.level
      if (group.every((rung) => rung.level === level)) return group
    }
    return undefined
  }

  /** The group was written as one part, which is durable. */
  join(group: readonly LadderPart[], joined: LadderPart): void {
    const [first] = group
    const begin = first === undefined ? -1 : this.#rungs.findIndex(({ key }) => key === first.key)
    const level = this.#rungs[begin]?.level
    if (begin < 0 || level === undefined) return
    this.#rungs.splice(begin, group.length, { ...joined, level: level + 1 })
  }

  /** Of too much, the oldest stay as they are. */
  #forget(): void {
    let totalBytes = this.#rungs.reduce((sum, rung) => sum + rung.sizeBytes, 0)
    while (totalBytes > MOST_BYTES) totalBytes -= this.#rungs.shift()?.sizeBytes ?? 0
  }
}
