/** Transactions that may be incidents, kept while the log is read: bounded, however many there are. */
import type { JournalTransaction } from './block.ts'
import { fileKey } from './file-key.ts'
import { LEAST_ROWS } from './find-incidents.ts'
import { HabitCounter, type Habits } from './habits.ts'

/** Of each table and kind of change, the largest. */
const MOST_OF_A_TABLE = 20
/** Of those that change files or definitions, the newest. */
const MOST_OF_DEFINITIONS = 10_000

interface Largest {
  readonly rows: number
  readonly transaction: JournalTransaction
}

export class Candidates {
  readonly #largest = new Map<string, Largest[]>()
  readonly #definitions: JournalTransaction[] = []
  readonly #habits: HabitCounter
  #seen = 0
  #leftOut = 0

  /** @param habits what was counted before */
  constructor(habits: HabitCounter = new HabitCounter()) {
    this.#habits = habits
  }

  add(transaction: JournalTransaction): void {
    this.#seen += 1
    if (transaction.outcome !== 'committed') return
    this.#habits.add(transaction)
    for (const { file, deleted, updated, movedAway } of transaction.files) {
      const key = fileKey(file)
      this.#keep(`${key}/deleted`, { rows: deleted - movedAway, transaction })
      this.#keep(`${key}/updated`, { rows: updated, transaction })
    }
    const { droppedFiles, wholeFiles, changedRelations } = transaction
    if (droppedFiles.length + wholeFiles.length + changedRelations.length === 0) return
    this.#definitions.push(transaction)
    if (this.#definitions.length <= MOST_OF_DEFINITIONS) return
    this.#definitions.shift()
    this.#leftOut += 1
  }

  /** How many transactions were looked at. */
  get seen(): number {
    return this.#seen
  }

  /** Changes of definitions that are older than those that are kept. */
  get leftOut(): number {
    return this.#leftOut
  }

  get habits(): Habits {
    return this.#habits.habits()
  }

  /** Each once. */
  transactions(): JournalTransaction[] {
    const all = [...this.#largest.values()].flat().map(({ transaction }) => transaction)
    return [...new Set([...all, ...this.#definitions])]
  }

  #keep(key: string, one: Largest): void {
    if (one.rows < LEAST_ROWS) return
    const list = this.#largest.get(key) ?? []
    this.#largest.set(key, list)
    list.push(one)
    if (list.length <= MOST_OF_A_TABLE) return
    // The newer of two alike is the more likely reason to look.
    const least = list.reduce((place, { rows }, index) => (rows < (list[place]?.rows ?? 0) ? index : place), 0)
    list.splice(least, 1)
  }
}
