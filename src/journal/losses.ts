/** What a recovery to a moment loses: everything that was committed after it, added up. Bounded by the number of files. Pure. */
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import type { JournalTransaction } from './block.ts'
import { Candidates } from './candidates.ts'
import { fileKey } from './file-key.ts'

/** Where a recovery ends: with the record that begins here, or before it. */
export interface Stop {
  readonly recordLsn: Lsn
  readonly isApplied: boolean
}

export interface FileLosses {
  readonly file: RelationFile
  /** Rows that were inserted since: they are gone then. */
  readonly inserted: number
  /** Rows that were changed since: they are as they were then. */
  readonly updated: number
  /** Rows that were deleted since: they are back then. */
  readonly deleted: number
}

export interface LostCommit {
  readonly xid: number
  readonly at: InstantMicros
  readonly lsn: Lsn
}

/** So many of the first lost ones are shown: whoever chooses may want one more. */
const MOST_SHOWN = 3

export class LossTally {
  readonly #stop: Stop
  readonly #files = new Map<string, { -readonly [Key in keyof FileLosses]: FileLosses[Key] }>()
  readonly #candidates = new Candidates()
  readonly #first: LostCommit[] = []
  #last: LostCommit | undefined
  #commits = 0
  #underWay = 0
  #isExact = true

  constructor(stop: Stop) {
    this.#stop = stop
  }

  /** Any; those that are no loss are passed over. */
  add(transaction: JournalTransaction): void {
    const { outcome, end, xid, firstLsn, files, otherFiles, isExact, isFromBegin } = transaction
    if (outcome !== 'committed' || !end || !this.#isLost(end.lsn)) return
    this.#commits += 1
    if (firstLsn < this.#stop.recordLsn) this.#underWay += 1
    if (this.#first.length < MOST_SHOWN) this.#first.push({ xid, at: end.at, lsn: end.lsn })
    this.#last = { xid, at: end.at, lsn: end.lsn }
    this.#isExact &&= isExact && isFromBegin && otherFiles === undefined
    this.#candidates.add(transaction)
    for (const { file, inserted, updated, deleted, isToast } of files) {
      if (isToast) continue
      const key = fileKey(file)
      const tally = this.#files.get(key) ?? { file, inserted: 0, updated: 0, deleted: 0 }
      this.#files.set(key, tally)
      // A row that moves to another partition is deleted here and inserted there.
      tally.inserted += inserted
      tally.updated += updated
      tally.deleted += deleted
    }
  }

  get commits(): number {
    return this.#commits
  }

  /** Of them, those that had begun before: a recovery loses all that they did. */
  get underWay(): number {
    return this.#underWay
  }

  get firstLost(): readonly LostCommit[] {
    return this.#first
  }

  get lastLost(): LostCommit | undefined {
    return this.#last
  }

  /** False: some of what was done is not known row by row. */
  get isExact(): boolean {
    return this.#isExact
  }

  get candidates(): Candidates {
    return this.#candidates
  }

  files(): readonly FileLosses[] {
    return [...this.#files.values()].filter(({ inserted, updated, deleted }) => inserted + updated + deleted > 0)
  }

  #isLost(lsn: Lsn): boolean {
    return this.#stop.isApplied ? lsn > this.#stop.recordLsn : lsn >= this.#stop.recordLsn
  }
}
