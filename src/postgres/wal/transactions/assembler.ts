/**
 * Puts the records of the log together to transactions: what each did to which files, and how it ended.
 *
 * What is kept is what open transactions have done, by file, and at most so much of it; where that is not enough, the
 * transaction says what it does not know (`otherFiles`, `wholeFilesLeftOut`, `isExact`). A transaction is given out once, when the
 * log says how it ended, or that it can have no end any more.
 */
import { decodeCatalogRow, isNamingCatalog } from '../decode/catalog-row.ts'
import { decodeBody, eventOf, isDecodedMajor } from '../decode/decode.ts'
import type { EventPlace, PrepareEvent, RunningTransactionsEvent, TransactionEndEvent } from '../decode/event.ts'
import {
  createRowFields,
  isPartitionMove,
  isToast,
  isUndoneInsert,
  type RowFields,
  readHeap,
  readHeap2,
} from '../decode/heap.ts'
import { isNewPages } from '../decode/log.ts'
import { RMGR } from '../decode/resource-managers.ts'
import type { WalRecordView } from '../record-view.ts'
import { type Ending, NO_ENDING, OpenTransaction, type UnfinishedTransaction } from './open-transaction.ts'
import type { WalTransaction, WholeFileEvent } from './transaction.ts'

export interface TransactionAssemblerOptions {
  /** Called with each transaction when it is over. */
  readonly onTransaction: (transaction: WalTransaction) => void
  /** The next transaction id where the log begins, if that is known: those from it on began later. */
  readonly nextXid?: number | undefined
  /** What another assembler knew at the record before the first one that this one is given. */
  readonly state?: AssemblerState | undefined
  /** How many files one transaction may list; default 20,000. */
  readonly maxFilesPerTransaction?: number | undefined
  /** How many files and transactions may be kept in all, a few hundred bytes each; default 200,000. */
  readonly maxEntries?: number | undefined
}

/** Everything that an assembler knows, as plain data, for one that goes on from there. */
export interface AssemblerState {
  readonly unfinished: readonly UnfinishedTransaction[]
  readonly beginsFromXid: number | undefined
  readonly hasMissedEnd: boolean
}

type Body<E> = Omit<E, keyof EventPlace>

const DEFAULT_MAX_FILES = 20_000
const DEFAULT_MAX_ENTRIES = 200_000

export class TransactionAssembler {
  readonly #onTransaction: (transaction: WalTransaction) => void
  readonly #maxFiles: number
  readonly #maxEntries: number
  readonly #open = new Map<number, OpenTransaction>()
  readonly #row: RowFields = createRowFields()
  #entries = 0
  #last: OpenTransaction | undefined
  /** Transactions from this one on began after the log that was read. */
  #beginsFromXid: number | undefined
  /** An end was not understood, or its list not read to its end: what seems open may be over. */
  #hasMissedEnd = false

  constructor(options: TransactionAssemblerOptions) {
    this.#onTransaction = options.onTransaction
    this.#maxFiles = options.maxFilesPerTransaction ?? DEFAULT_MAX_FILES
    this.#maxEntries = options.maxEntries ?? DEFAULT_MAX_ENTRIES
    this.#beginsFromXid = options.state?.beginsFromXid ?? options.nextXid
    this.#hasMissedEnd = options.state?.hasMissedEnd ?? false
    for (const one of options.state?.unfinished ?? []) {
      const transaction = OpenTransaction.resume(one)
      this.#open.set(transaction.xid, transaction)
      this.#entries += transaction.size
    }
  }

  /** For an assembler that goes on with the next record. */
  get state(): AssemblerState {
    return {
      unfinished: [...this.#open.values()].map((one) => ({ transaction: one.snapshot(), topXid: one.topXid })),
      beginsFromXid: this.#beginsFromXid,
      hasMissedEnd: this.#hasMissedEnd,
    }
  }

  /** Takes the next record, as {@link WalReader.visit} shows it. */
  add(view: WalRecordView): void {
    const transaction = view.xid === 0 ? undefined : this.#of(view)
    transaction?.note(view)
    switch (view.rmgr) {
      case RMGR.heap:
        if (!transaction) return
        this.#addRows(transaction, view, readHeap(view, this.#row) === undefined)
        if (isNamingCatalog(view.parts)) this.#addName(transaction, view)
        return
      case RMGR.heap2:
        if (transaction) this.#addRows(transaction, view, readHeap2(view, this.#row) === undefined)
        return
      case RMGR.log:
        if (!isNewPages(view)) this.#addEvent(transaction, view)
        else if (transaction) this.#addPages(transaction, view)
        return
      case RMGR.transaction:
      case RMGR.storage:
      case RMGR.database:
      case RMGR.tablespace:
      case RMGR.relationMap:
      case RMGR.standby:
        this.#addEvent(transaction, view)
        return
      default:
    }
  }

  /** The transactions that have not ended, prepared ones among them, as far as they have come. */
  openTransactions(): WalTransaction[] {
    return [...this.#open.values()].map((transaction) => transaction.snapshot())
  }

  #of(view: WalRecordView): OpenTransaction {
    const { xid } = view
    const known = this.#last?.xid === xid ? this.#last : this.#open.get(xid)
    const transaction = known ?? this.#begin(xid, view)
    if (view.parts.topXid !== 0) this.#assign(transaction, view.parts.topXid, view)
    this.#last = transaction
    return transaction
  }

  #begin(xid: number, view: WalRecordView): OpenTransaction {
    const transaction = OpenTransaction.begin(xid, view)
    transaction.isFromBegin = this.#beginsFromXid !== undefined && !precedes(xid, this.#beginsFromXid)
    this.#open.set(xid, transaction)
    this.#entries += 1
    return transaction
  }

  readonly #hasRoom = (size: number): boolean => size < this.#maxFiles && this.#entries < this.#maxEntries

  #addRows(transaction: OpenTransaction, view: WalRecordView, isUnderstood: boolean): void {
    const row = this.#row
    if (!isUnderstood || !isDecodedMajor(view.major)) {
      transaction.isExact = false
      return
    }
    if (row.operation === 'truncate') this.#addEvent(transaction, view)
    if (row.rows === 0) return
    const before = transaction.files.size
    const tally = transaction.files.ofBlock(view.parts, 0, this.#hasRoom(before))
    this.#entries += transaction.files.size - before
    switch (row.operation) {
      case 'insert':
      case 'multi-insert':
        tally.inserted += row.rows
        if (isToast(row)) tally.isToast = true
        return
      case 'update':
      case 'hot-update':
        tally.updated += 1
        return
      default:
        if (isUndoneInsert(row)) tally.inserted -= 1
        else tally.deleted += 1
        if (isPartitionMove(row)) tally.movedAway += 1
    }
  }

  /** What is left out here is without a name, and shown so. */
  #addName(transaction: OpenTransaction, view: WalRecordView): void {
    const row = isDecodedMajor(view.major) ? decodeCatalogRow(view) : undefined
    if (row) this.#addWholeFile(transaction, row)
  }

  #addWholeFile(transaction: OpenTransaction, event: WholeFileEvent): void {
    if (!this.#hasRoom(transaction.size)) transaction.wholeFilesLeftOut += 1
    else {
      transaction.wholeFiles.push(event)
      this.#entries += 1
    }
  }

  #addPages(transaction: OpenTransaction, view: WalRecordView): void {
    const { parts } = view
    const before = transaction.files.size
    for (let index = 0; index < parts.blockCount; index += 1) {
      if (!parts.isMainFork(index)) continue
      transaction.files.ofBlock(parts, index, this.#hasRoom(transaction.files.size)).newPages += 1
    }
    this.#entries += transaction.files.size - before
  }

  #addEvent(transaction: OpenTransaction | undefined, view: WalRecordView): void {
    const event = decodeBody(view)
    if (event === undefined) return
    if (typeof event === 'string') {
      if (transaction) transaction.isExact = false
      if (view.rmgr === RMGR.transaction) this.#hasMissedEnd = true
      return
    }
    switch (event.type) {
      case 'commit':
      case 'abort':
      case 'commit-prepared':
      case 'abort-prepared':
        this.#finish(event, view)
        return
      case 'prepare':
        this.#prepare(event, view)
        return
      case 'assignment':
        for (const xid of event.subxids) {
          const part = this.#open.get(xid)
          if (part) this.#assign(part, event.ofXid, view)
        }
        return
      case 'file-create':
      case 'file-truncate':
      case 'truncate':
      case 'database-create':
      case 'database-drop':
      case 'tablespace-create':
      case 'tablespace-drop':
      case 'relation-map':
        if (transaction) this.#addWholeFile(transaction, eventOf(view, event))
        return
      case 'running-transactions':
        this.#compare(event)
        return
      case 'checkpoint':
        if (event.kind === 'shutdown') this.#restart(event.nextXid)
        return
      case 'end-of-recovery':
        this.#restart(undefined)
        return
      default:
    }
  }

  /** The log says of which transaction this is a part. */
  #assign(part: OpenTransaction, topXid: number, view: WalRecordView): void {
    if (part.xid === topXid) return
    part.topXid = topXid
    const top = this.#open.get(topXid) ?? this.#begin(topXid, view)
    // There are as many subtransactions as a loop makes. When there is no more room, they are not kept apart any longer.
    if (this.#entries < this.#maxEntries || view.xid === part.xid) return
    this.#remove(part)
    this.#absorb(top, part, false)
    top.isExact = false
  }

  /** Takes the subtransactions that were not rolled back into the transaction, which from now on stands for them. */
  #gather(event: Body<TransactionEndEvent | PrepareEvent>, xid: number, view: WalRecordView): OpenTransaction {
    const transaction = this.#open.get(xid) ?? this.#begin(xid, view)
    // The record says `xid` 0 when another session ends what was prepared.
    if (view.xid !== xid) transaction.note(view)
    for (const subxid of event.subxids) {
      const part = this.#open.get(subxid)
      if (!part || part === transaction) continue
      this.#remove(part)
      this.#absorb(transaction, part, false)
    }
    if (!event.isComplete) {
      transaction.isExact = false
      this.#hasMissedEnd = true
    }
    return transaction
  }

  #prepare(event: Body<PrepareEvent>, view: WalRecordView): void {
    const { at, gid } = event
    this.#gather(event, event.ofXid ?? view.xid, view).prepared = { lsn: view.lsn, endLsn: view.endLsn, at, gid }
  }

  #finish(event: Body<TransactionEndEvent>, view: WalRecordView): void {
    if (event.ofXid === undefined) {
      this.#hasMissedEnd = true
      return
    }
    const transaction = this.#gather(event, event.ofXid, view)
    this.#remove(transaction)
    const isCommit = event.type === 'commit' || event.type === 'commit-prepared'
    const top = transaction.topXid === undefined ? undefined : this.#open.get(transaction.topXid)
    if (!isCommit && top) {
      this.#absorb(top, transaction, true)
      return
    }
    this.#close(transaction, isCommit ? 'committed' : 'aborted', {
      end: { lsn: view.lsn, endLsn: view.endLsn, at: event.at },
      subxids: event.subxids,
      droppedFiles: event.droppedFiles,
      changedRelations: event.invalidations.relations,
    })
  }

  /** What the server says runs is all that runs: what began before and is not among it has ended, and its end was not understood. */
  #compare(event: Body<RunningTransactionsEvent>): void {
    for (const transaction of [...this.#open.values()]) {
      if (transaction.prepared || !precedes(transaction.xid, event.oldestRunningXid)) continue
      this.#remove(transaction)
      this.#close(transaction, 'unknown', NO_ENDING)
    }
    const begins = this.#beginsFromXid
    // Moved on, because ids begin anew: none that is older than the oldest comes again.
    if (begins === undefined) this.#beginsFromXid = event.nextXid
    else if (precedes(begins, event.oldestRunningXid)) this.#beginsFromXid = event.oldestRunningXid
  }

  /** A server that has just started, or stops, has no transactions but prepared ones. */
  #restart(nextXid: number | undefined): void {
    const outcome = this.#hasMissedEnd ? 'unknown' : 'crashed'
    for (const transaction of [...this.#open.values()]) {
      if (transaction.prepared) continue
      this.#remove(transaction)
      this.#close(transaction, outcome, NO_ENDING)
    }
    this.#hasMissedEnd = false
    this.#beginsFromXid ??= nextXid
  }

  #absorb(into: OpenTransaction, part: OpenTransaction, isRolledBack: boolean): void {
    const before = into.size
    into.absorb(part, { isRolledBack, hasRoom: this.#hasRoom })
    this.#entries += into.size - before
  }

  #remove(transaction: OpenTransaction): void {
    this.#open.delete(transaction.xid)
    this.#entries -= transaction.size
    if (this.#last === transaction) this.#last = undefined
  }

  #close(transaction: OpenTransaction, outcome: WalTransaction['outcome'], ending: Ending): void {
    this.#onTransaction(transaction.close(outcome, ending))
  }
}

/** Transaction ids begin anew after 2^32: the one that is less than half of that behind is the older. */
function precedes(left: number, right: number): boolean {
  return ((left - right) | 0) < 0
}
