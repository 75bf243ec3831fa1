import type { Lsn } from '../../lsn.ts'
import { lsnOf, type WalRecordView } from '../record-view.ts'
import { FileTallies } from './file-tallies.ts'
import type { TransactionEnding, WalTransaction, WholeFileEvent } from './transaction.ts'

/** A transaction, or a part of one, that has not ended. */
export interface UnfinishedTransaction {
  /** As far as it has come; what counts for it once its parts are gathered is not in here. */
  readonly transaction: WalTransaction
  /** The transaction that it is a part of, once the log has said so. */
  readonly topXid: number | undefined
}

interface Position {
  high: number
  low: number
}

/** What the record of its end says. */
export type Ending = Pick<WalTransaction, 'end' | 'subxids' | 'droppedFiles' | 'changedRelations'>

export const NO_ENDING: Ending = { end: undefined, subxids: [], droppedFiles: [], changedRelations: [] }

/** A transaction, or a subtransaction, that has written something and not ended. Positions are halves, as in the view. */
export class OpenTransaction {
  readonly xid: number
  isFromBegin = false
  /** The transaction that it is a part of, once the log has said so. */
  topXid: number | undefined
  isExact = true
  prepared: (TransactionEnding & { readonly gid: string }) | undefined
  records = 0
  walBytes = 0
  rolledBackRows = 0
  readonly files: FileTallies
  readonly wholeFiles: WholeFileEvent[]
  wholeFilesLeftOut = 0
  #first: Position
  #last: Position

  private constructor(
    xid: number,
    parts: { first: Position; last: Position; files: FileTallies; wholeFiles: WholeFileEvent[] },
  ) {
    this.xid = xid
    this.#first = parts.first
    this.#last = parts.last
    this.files = parts.files
    this.wholeFiles = parts.wholeFiles
  }

  /** @param view its first record */
  static begin(xid: number, view: WalRecordView): OpenTransaction {
    const first = { high: view.beginHigh, low: view.beginLow }
    return new OpenTransaction(xid, { first, last: { ...first }, files: new FileTallies(), wholeFiles: [] })
  }

  /** One that goes on from what {@link snapshot} has said of it. */
  static resume({ transaction, topXid }: UnfinishedTransaction): OpenTransaction {
    const { xid, firstLsn, lastLsn, files, otherFiles, wholeFiles, prepared } = transaction
    const { records, walBytes, rolledBackRows, wholeFilesLeftOut, isFromBegin, isExact } = transaction
    const resumed = new OpenTransaction(xid, {
      first: halvesOf(firstLsn),
      last: halvesOf(lastLsn),
      files: FileTallies.of(files, otherFiles),
      wholeFiles: [...wholeFiles],
    })
    Object.assign(resumed, {
      records,
      walBytes,
      rolledBackRows,
      wholeFilesLeftOut,
      isFromBegin,
      isExact,
      prepared,
      topXid,
    })
    return resumed
  }

  note(view: WalRecordView): void {
    this.records += 1
    this.walBytes += view.totalBytes
    this.#last.high = view.beginHigh
    this.#last.low = view.beginLow
  }

  /** How much of what is kept is its own. */
  get size(): number {
    return 1 + this.files.size + this.wholeFiles.length
  }

  /** Takes a part in: one that will count, or one that was rolled back. */
  absorb(
    part: OpenTransaction,
    options: { readonly isRolledBack: boolean; readonly hasRoom: (size: number) => boolean },
  ): void {
    if (isBefore(part.#first, this.#first)) this.#first = part.#first
    if (isBefore(this.#last, part.#last)) this.#last = part.#last
    this.records += part.records
    this.walBytes += part.walBytes
    this.rolledBackRows += part.rolledBackRows
    this.isFromBegin &&= part.isFromBegin
    this.isExact &&= part.isExact
    if (options.isRolledBack) {
      this.rolledBackRows += part.files.rows()
      return
    }
    this.files.add(part.files, options.hasRoom)
    for (const event of part.wholeFiles) {
      if (options.hasRoom(this.size)) this.wholeFiles.push(event)
      else this.wholeFilesLeftOut += 1
    }
    this.wholeFilesLeftOut += part.wholeFilesLeftOut
  }

  /** It is over; nothing may be counted any more. */
  close(outcome: WalTransaction['outcome'], ending: Ending): WalTransaction {
    return this.#describe(outcome, ending, this.files.close())
  }

  /** What it has done so far. */
  snapshot(): WalTransaction {
    return this.#describe(this.prepared ? 'prepared' : 'in-progress', NO_ENDING, this.files.snapshot())
  }

  #describe(outcome: WalTransaction['outcome'], ending: Ending, files: WalTransaction['files']): WalTransaction {
    const { rest } = this.files
    return {
      xid: this.xid,
      subxids: ending.subxids,
      outcome,
      end: ending.end,
      prepared: this.prepared,
      isFromBegin: this.isFromBegin,
      firstLsn: lsnOf(this.#first.high, this.#first.low),
      lastLsn: lsnOf(this.#last.high, this.#last.low),
      records: this.records,
      walBytes: this.walBytes,
      files,
      otherFiles: rest && { inserted: rest.inserted, updated: rest.updated, deleted: rest.deleted },
      wholeFiles: inOrder(this.wholeFiles),
      wholeFilesLeftOut: this.wholeFilesLeftOut,
      droppedFiles: ending.droppedFiles,
      changedRelations: ending.changedRelations,
      rolledBackRows: this.rolledBackRows,
      isExact: this.isExact,
    }
  }
}

/** Those of subtransactions come behind. */
function inOrder(events: readonly WholeFileEvent[]): readonly WholeFileEvent[] {
  if (events.length < 2) return events
  return events.toSorted((left, right) => (left.lsn < right.lsn ? -1 : 1))
}

const halvesOf = (lsn: Lsn): Position => ({ high: Number(lsn >> 32n), low: Number(lsn & 0xffff_ffffn) })

function isBefore(left: Position, right: Position): boolean {
  return left.high < right.high || (left.high === right.high && left.low < right.low)
}
