import type { RecordParts, RelationFile } from '../record-parts.ts'
import type { FileChanges } from './transaction.ts'

interface Tally {
  readonly tablespace: number
  readonly database: number
  readonly relfilenode: number
  inserted: number
  updated: number
  deleted: number
  movedAway: number
  newPages: number
  isToast: boolean
  /** Another file with the same number, in another place. */
  next: Tally | undefined
}

export type RowTally = Omit<Tally, 'tablespace' | 'database' | 'relfilenode' | 'next'>

/** Counts by relation file. The file of the last record is at hand, because the next is mostly about the same. */
export class FileTallies {
  readonly #byNumber = new Map<number, Tally>()
  #last: Tally | undefined
  #size = 0
  #rest: Tally | undefined

  get size(): number {
    return this.#size
  }

  /** What is counted of files for which there was no room; undefined when there was for all. */
  get rest(): RowTally | undefined {
    return this.#rest
  }

  /** The counts of the file of a record's block. @param hasRoom whether there may be one more */
  ofBlock(parts: RecordParts, index: number, hasRoom: boolean): RowTally {
    const relfilenode = parts.relfilenodes[index] as number
    const database = parts.databases[index] as number
    const tablespace = parts.tablespaces[index] as number
    const last = this.#last
    if (last?.relfilenode === relfilenode && last.database === database && last.tablespace === tablespace) return last
    return this.#find({ tablespace, database, relfilenode }, hasRoom)
  }

  /** Adds the counts of another. */
  add(other: FileTallies, hasRoom: (size: number) => boolean): void {
    for (const first of other.#byNumber.values()) {
      for (let tally: Tally | undefined = first; tally; tally = tally.next) {
        merge(this.#find(tally, hasRoom(this.#size)), tally)
      }
    }
    if (other.#rest) merge(this.#openRest(), other.#rest)
  }

  /** Inserted, updated and deleted rows together. */
  rows(): number {
    let rows = this.#rest ? rowsOf(this.#rest) : 0
    for (const first of this.#byNumber.values()) {
      for (let tally: Tally | undefined = first; tally; tally = tally.next) rows += rowsOf(tally)
    }
    return rows
  }

  /** Files of which nothing is left, because the only insertion was taken back, are left out. */
  list(): FileChanges[] {
    const changes: FileChanges[] = []
    for (const first of this.#byNumber.values()) {
      for (let tally: Tally | undefined = first; tally; tally = tally.next) {
        const { tablespace, database, relfilenode, next: _, ...counts } = tally
        if (rowsOf(tally) === 0 && tally.newPages === 0) continue
        changes.push({ file: { tablespace, database, relfilenode }, ...counts })
      }
    }
    return changes
  }

  #find(file: RelationFile, hasRoom: boolean): Tally {
    const { tablespace, database, relfilenode } = file
    const first = this.#byNumber.get(relfilenode)
    for (let tally = first; tally; tally = tally.next) {
      if (tally.database !== database || tally.tablespace !== tablespace) continue
      this.#last = tally
      return tally
    }
    if (!hasRoom) return this.#openRest()
    const tally = createTally(file, first)
    this.#byNumber.set(relfilenode, tally)
    this.#size += 1
    this.#last = tally
    return tally
  }

  #openRest(): Tally {
    this.#rest ??= createTally({ tablespace: 0, database: 0, relfilenode: 0 }, undefined)
    return this.#rest
  }
}

function createTally({ tablespace, database, relfilenode }: RelationFile, next: Tally | undefined): Tally {
  return {
    tablespace,
    database,
    relfilenode,
    inserted: 0,
    updated: 0,
    deleted: 0,
    movedAway: 0,
    newPages: 0,
    isToast: false,
    next,
  }
}

function merge(into: Tally, from: Tally): void {
  into.inserted += from.inserted
  into.updated += from.updated
  into.deleted += from.deleted
  into.movedAway += from.movedAway
  into.newPages += from.newPages
  into.isToast ||= from.isToast
}

function rowsOf({ inserted, updated, deleted }: Tally): number {
  return inserted + updated + deleted
}
