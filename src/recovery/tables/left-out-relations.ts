/**
 * The relations whose files a recovery of single tables leaves out, and which records of the log are about nothing else. A replay without
 * those records needs none of the files, whatever the log does to them.
 */

import { placeKey, type RelationPlace } from '../../postgres/relation-path.ts'
import { u32 } from '../../postgres/wal/bytes.ts'
import type { RecordHead } from '../../postgres/wal/noop-rewriter.ts'

const RMGR_DATABASE = 4
const CREATE_FROM_FILES = 0x00
const DATABASE_KIND_MASK = 0x70

/** A database whose directory was copied as files. */
export interface CopiedDatabase {
  readonly oid: number
  /** Of the record. */
  readonly lsn: bigint
}

/** A relation that was left out, changed by a record that also changes one that was not. */
export interface MixedChange {
  readonly place: string
  readonly lsn: bigint
}

export class LeftOutRelations {
  /** By their file number, which hardly ever means more than one: pairs of tablespace and database. */
  readonly #owners = new Map<number, number[]>()
  /** In the order of the log, as far as it was delivered. */
  readonly copiedDatabases: CopiedDatabase[] = []
  readonly mixedChanges: MixedChange[] = []

  constructor(places: Iterable<RelationPlace>) {
    for (const { tablespace, database, fileNumber } of places) {
      const owners = this.#owners.get(fileNumber)
      if (owners) owners.push(tablespace, database)
      else this.#owners.set(fileNumber, [tablespace, database])
    }
  }

  /** For the rewriter of the log. */
  readonly isUnwanted = (record: RecordHead): boolean => {
    const { parts } = record
    const { blockCount } = parts
    if (blockCount === 0) {
      this.#noteFileCopy(record)
      return false
    }
    let leftOut = 0
    for (let block = 0; block < blockCount; block += 1) if (this.#isLeftOut(record, block)) leftOut += 1
    if (leftOut > 0 && leftOut < blockCount) this.#noteMixed(record)
    return leftOut === blockCount
  }

  #isLeftOut({ parts }: RecordHead, block: number): boolean {
    const owners = this.#owners.get(parts.relfilenodes[block] as number)
    if (owners === undefined) return false
    for (let at = 0; at < owners.length; at += 2) {
      if (owners[at] === parts.tablespaces[block] && owners[at + 1] === parts.databases[block]) return true
    }
    return false
  }

  /** A copy of a database takes along that files are missing. `xl_dbase_create_file_copy_rec` begins with the new database. */
  #noteFileCopy({ rmgr, info, bytes, begin, parts, lsn }: RecordHead): void {
    if (rmgr !== RMGR_DATABASE || (info & DATABASE_KIND_MASK) !== CREATE_FROM_FILES) return
    const mainBegin = begin + u32(bytes, begin) - parts.mainBytes
    this.copiedDatabases.push({ oid: u32(bytes, mainBegin), lsn: BigInt(lsn) })
  }

  #noteMixed(record: RecordHead): void {
    const { parts, lsn } = record
    for (let block = 0; block < parts.blockCount; block += 1) {
      if (!this.#isLeftOut(record, block)) continue
      const { tablespace, database, relfilenode: fileNumber } = parts.file(block)
      this.mixedChanges.push({ place: placeKey({ tablespace, database, fileNumber }), lsn: BigInt(lsn) })
    }
  }
}
