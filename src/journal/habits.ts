/** What a table is used to: how many rows its transactions delete and change, in powers of two, so that it takes little memory. */
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import type { JournalTransaction } from './block.ts'
import { fileKey } from './file-key.ts'

export type Changed = 'deleted' | 'updated'

/** By file and kind of change: how many transactions have changed 2^n rows and more, but less than 2^(n+1). */
export type Habits = ReadonlyMap<string, readonly number[]>

/** So often it must have come for it to be a habit: a third time is one. */
const HABITUAL = 3

const NAMED = 'name:'

/** Whether it is a habit of something by its name: a table that is emptied has another file each time. */
export const isNamed = (key: string): boolean => key.startsWith(NAMED)

export class HabitCounter {
  readonly #counts: Map<string, number[]>

  /** @param known what was counted before */
  constructor(known: Habits = new Map()) {
    this.#counts = new Map([...known].map(([key, counts]) => [key, [...counts]]))
  }

  add({ files, outcome }: JournalTransaction): void {
    if (outcome !== 'committed') return
    for (const { file, deleted, updated, movedAway } of files) {
      this.#count(file, 'deleted', deleted - movedAway)
      this.#count(file, 'updated', updated)
    }
  }

  /** Of something that has a name, and happens to all of it: it was emptied or dropped. @returns whether it is a habit now */
  again(name: string): boolean {
    const key = `${NAMED}${name}`
    this.#countMagnitude(key, 0)
    return (this.#counts.get(key)?.[0] ?? 0) > HABITUAL
  }

  habits(): Habits {
    return this.#counts
  }

  #count(file: RelationFile, what: Changed, rows: number): void {
    if (rows > 0) this.#countMagnitude(`${fileKey(file)}/${what}`, Math.floor(Math.log2(rows)))
  }

  #countMagnitude(key: string, magnitude: number): void {
    const counts = this.#counts.get(key) ?? []
    this.#counts.set(key, counts)
    while (counts.length <= magnitude) counts.push(0)
    counts[magnitude] = (counts[magnitude] ?? 0) + 1
  }
}

/** False when transactions change so many rows of it, or half of that, again and again: this one among them. */
export function isUnusual(
  habits: Habits,
  { file, what, rows }: { readonly file: RelationFile; readonly what: Changed; readonly rows: number },
): boolean {
  const counts = habits.get(`${fileKey(file)}/${what}`) ?? []
  const magnitude = Math.floor(Math.log2(Math.max(1, rows)))
  const alike = counts.slice(Math.max(0, magnitude - 1)).reduce((sum, count) => sum + count, 0)
  return alike <= HABITUAL
}
