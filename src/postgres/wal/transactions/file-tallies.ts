import type { RecordParts, RelationFile } from '../record-parts.ts'
import type { FileChanges } from './transaction.ts'

export type FileTally = { -readonly [Key in keyof FileChanges]: FileChanges[Key] }

interface Entry {
  readonly tally: FileTally
  /** Another file with the same number, in another place. */
  readonly next: Entry | undefined
}

/** As many files are found faster by looking at one after the other; most transactions have no more. */
const SCANNED_FILES = 8

/** Counts by relation file. The file of the last record is at hand, because the next is mostly about the same. */
export class FileTallies {
  readonly #list: FileTally[] = []
  /** By number; made when there are many. */
  #index: Map<number, Entry> | undefined
  #last: FileTally | undefined
  #rest: FileTally | undefined

  get size(): number {
    return this.#list.length
  }

  /** What is counted of files for which there was no room; undefined when there was for all. */
  get rest(): FileTally | undefined {
    return this.#rest
  }

  /** The counts of the file of a record's block. @param hasRoom whether there may be one more */
  ofBlock(parts: RecordParts, index: number, hasRoom: boolean): FileTally {
    const relfilenode = parts.relfilenodes[index] as number
    const database = parts.databases[index] as number
    const tablespace = parts.tablespaces[index] as number
    const last = this.#last?.file
    if (last?.relfilenode === relfilenode && last.database === database && last.tablespace === tablespace) {
      return this.#last as FileTally
    }
    return this.#of({ tablespace, database, relfilenode }, hasRoom)
  }

  /** Counts that were kept apart, and go on. */
  static of(files: readonly FileChanges[], rest: Pick<FileTally, 'inserted' | 'updated' | 'deleted'> | undefined) {
    const tallies = new FileTallies()
    for (const one of files) Object.assign(tallies.#open(one.file), one)
    if (rest) Object.assign(tallies.#openRest(), rest)
    return tallies
  }

  /** Adds the counts of another. */
  add(other: FileTallies, hasRoom: (size: number) => boolean): void {
    for (const tally of other.#list) merge(this.#of(tally.file, hasRoom(this.size)), tally)
    if (other.#rest) merge(this.#openRest(), other.#rest)
  }

  /** Inserted, updated and deleted rows together. */
  rows(): number {
    return this.#list.reduce((rows, tally) => rows + rowsOf(tally), this.#rest ? rowsOf(this.#rest) : 0)
  }

  /** The counts, which must not go on afterwards. Files of which nothing is left are not among them. */
  close(): readonly FileChanges[] {
    return this.#list.some(isEmpty) ? this.#list.filter((tally) => !isEmpty(tally)) : this.#list
  }

  /** A copy of the counts as they are now. */
  snapshot(): readonly FileChanges[] {
    return this.close().map((tally) => ({ ...tally }))
  }

  #of(file: RelationFile, hasRoom: boolean): FileTally {
    const found = this.#find(file)
    if (!found && !hasRoom) return this.#openRest()
    const tally = found ?? this.#open(file)
    this.#last = tally
    return tally
  }

  #find({ tablespace, database, relfilenode }: RelationFile): FileTally | undefined {
    if (this.#index === undefined) {
      for (const tally of this.#list) {
        const { file } = tally
        if (file.relfilenode === relfilenode && file.database === database && file.tablespace === tablespace)
          return tally
      }
      return undefined
    }
    for (let entry = this.#index.get(relfilenode); entry; entry = entry.next) {
      const { file } = entry.tally
      if (file.database === database && file.tablespace === tablespace) return entry.tally
    }
    return undefined
  }

  #open(file: RelationFile): FileTally {
    const tally = createTally(file)
    this.#list.push(tally)
    if (this.#index) this.#enter(this.#index, tally)
    else if (this.#list.length > SCANNED_FILES) {
      this.#index = new Map()
      for (const one of this.#list) this.#enter(this.#index, one)
    }
    return tally
  }

  #enter(index: Map<number, Entry>, tally: FileTally): void {
    const { relfilenode } = tally.file
    index.set(relfilenode, { tally, next: index.get(relfilenode) })
  }

  #openRest(): FileTally {
    this.#rest ??= createTally({ tablespace: 0, database: 0, relfilenode: 0 })
    return this.#rest
  }
}

function createTally(file: RelationFile): FileTally {
  return { file, inserted: 0, updated: 0, deleted: 0, movedAway: 0, newPages: 0, isToast: false }
}

function merge(into: FileTally, from: FileTally): void {
  into.inserted += from.inserted
  into.updated += from.updated
  into.deleted += from.deleted
  into.movedAway += from.movedAway
  into.newPages += from.newPages
  into.isToast ||= from.isToast
}

function rowsOf({ inserted, updated, deleted }: FileTally): number {
  return inserted + updated + deleted
}

function isEmpty(tally: FileTally): boolean {
  return rowsOf(tally) === 0 && tally.newPages === 0
}
