/**
 * Rows (src/include/access/heapam_xlog.h; what is read here is laid out alike from 15 to 18). The places and flags stand in the
 * main data, so they are there too when the row itself is only in a page image.
 */
import { u16, u32 } from '../bytes.ts'
import type { WalRecordView } from '../record-view.ts'
import type { OldTuple } from './event.ts'
import { type EventBody, Fields, type Unknown } from './fields.ts'

/** The upper half of `info`; its highest bit says that the page was new. */
const OPERATION_MASK = 0x70
const INIT_PAGE = 0x80
const HEAP = {
  insert: 0x00,
  delete: 0x10,
  update: 0x20,
  truncate: 0x30,
  hotUpdate: 0x40,
  confirm: 0x50,
  lock: 0x60,
  inPlace: 0x70,
} as const
const HEAP2_MULTI_INSERT = 0x50

const INSERT = { isSpeculative: 0x04, isToast: 0x10, known: 0x3f } as const
const DELETE = { oldTuple: 0x02, oldKey: 0x04, isUndoneInsert: 0x08, isPartitionMove: 0x10, known: 0x1f } as const
const UPDATE = { oldTuple: 0x04, oldKey: 0x08, known: 0x7f } as const
const TRUNCATE = { cascade: 0x01, restartSequences: 0x02, known: 0x03 } as const

const SIZE = {
  insert: 3,
  delete: 8,
  update: 14,
  confirm: 2,
  lock: 8,
  inPlace: 2,
  truncate: 12,
  multiInsert: 4,
} as const
/** xl_heap_header */
const TUPLE_HEADER_BYTES = 5
/** MaxHeapTuplesPerPage of the largest page. */
const MAX_TUPLES = 2048

export type RowOperation =
  | 'insert'
  | 'multi-insert'
  | 'update'
  | 'hot-update'
  | 'delete'
  | 'confirm'
  | 'lock'
  | 'in-place-update'
  | 'truncate'
  /** Of the heap, but no change of a row. */
  | 'none'

/** What is needed of a record about rows; one object serves for all of them. */
export interface RowFields {
  operation: RowOperation
  /** How many rows the record is about. */
  rows: number
  flags: number
  /** Of the (new) version; of an update's old one below. */
  offset: number
  oldOffset: number
}

export function createRowFields(): RowFields {
  return { operation: 'none', rows: 0, flags: 0, offset: 0, oldOffset: 0 }
}

export function isUndoneInsert(fields: RowFields): boolean {
  return (fields.flags & DELETE.isUndoneInsert) !== 0
}

export function isPartitionMove(fields: RowFields): boolean {
  return (fields.flags & DELETE.isPartitionMove) !== 0
}

/** Only with `wal_level = logical`; of an insertion. */
export function isToast(fields: RowFields): boolean {
  return (fields.flags & INSERT.isToast) !== 0
}

/** Reads a record of the resource manager Heap. @returns why it is not understood */
export function readHeap(view: WalRecordView, into: RowFields): Unknown | undefined {
  const { main, mainBegin: at } = view
  into.rows = 1
  into.oldOffset = 0
  into.flags = 0
  switch (view.info & OPERATION_MASK) {
    case HEAP.insert:
      into.operation = 'insert'
      if (!holds(view, SIZE.insert)) return shortage(view)
      into.offset = u16(main, at)
      into.flags = main[at + 2] as number
      return isRowChange(view, into, INSERT.known) ? undefined : 'content'
    case HEAP.delete:
      into.operation = 'delete'
      if (view.mainEnd - at < SIZE.delete) return shortage(view)
      into.offset = u16(main, at + 4)
      into.flags = main[at + 7] as number
      if (!holdsWithOld(view, SIZE.delete, (into.flags & (DELETE.oldTuple | DELETE.oldKey)) !== 0)) return 'content'
      return isRowChange(view, into, DELETE.known) ? undefined : 'content'
    case HEAP.update:
      into.operation = 'update'
      return readUpdate(view, into)
    case HEAP.hotUpdate:
      into.operation = 'hot-update'
      return readUpdate(view, into)
    default:
      return readRest(view, into)
  }
}

function readUpdate(view: WalRecordView, into: RowFields): Unknown | undefined {
  const { main, mainBegin: at } = view
  if (view.mainEnd - at < SIZE.update) return shortage(view)
  into.oldOffset = u16(main, at + 4)
  into.flags = main[at + 7] as number
  into.offset = u16(main, at + 12)
  if (!holdsWithOld(view, SIZE.update, (into.flags & (UPDATE.oldTuple | UPDATE.oldKey)) !== 0)) return 'content'
  return into.oldOffset > 0 && isRowChange(view, into, UPDATE.known) ? undefined : 'content'
}

/** What changes no row. */
function readRest(view: WalRecordView, into: RowFields): Unknown | undefined {
  const { main, mainBegin: at, parts } = view
  into.rows = 0
  if ((view.info & INIT_PAGE) !== 0) return 'operation'
  switch (view.info & OPERATION_MASK) {
    case HEAP.confirm:
      into.operation = 'confirm'
      if (!holds(view, SIZE.confirm)) return shortage(view)
      into.offset = u16(main, at)
      break
    case HEAP.lock:
      into.operation = 'lock'
      if (!holds(view, SIZE.lock)) return shortage(view)
      into.offset = u16(main, at + 4)
      break
    case HEAP.inPlace:
      // Newer servers put invalidations behind it.
      into.operation = 'in-place-update'
      if (view.mainEnd - at < SIZE.inPlace) return shortage(view)
      into.offset = u16(main, at)
      break
    default:
      into.operation = 'truncate'
      return isTruncate(view) ? undefined : shortage(view)
  }
  return into.offset > 0 && parts.blockCount > 0 && parts.isMainFork(0) ? undefined : 'content'
}

/** Reads a record of the resource manager Heap2: of its kinds only the insertion of several rows changes any. */
export function readHeap2(view: WalRecordView, into: RowFields): Unknown | undefined {
  const { main, mainBegin: at, parts } = view
  into.oldOffset = 0
  into.offset = 0
  into.flags = 0
  into.rows = 0
  into.operation = 'none'
  if ((view.info & OPERATION_MASK) !== HEAP2_MULTI_INSERT) return undefined
  into.operation = 'multi-insert'
  if (view.mainEnd - at < SIZE.multiInsert) return shortage(view)
  const rows = u16(main, at + 2)
  into.flags = main[at] as number
  into.rows = rows
  // A new page is filled from its first place on; otherwise each row's place is listed.
  const listBytes = (view.info & INIT_PAGE) !== 0 ? 0 : rows * 2
  if (!holds(view, SIZE.multiInsert + listBytes)) return shortage(view)
  if (rows === 0 || rows > MAX_TUPLES || (into.flags & ~INSERT.known) !== 0) return 'content'
  return parts.blockCount === 1 && parts.isMainFork(0) ? undefined : 'content'
}

/** What the record of a row's change must have besides: a place, flags that are known, and the blocks it is in. */
function isRowChange(view: WalRecordView, fields: RowFields, knownFlags: number): boolean {
  const { parts } = view
  const isUpdate = fields.operation === 'update' || fields.operation === 'hot-update'
  if (fields.offset === 0 || (fields.flags & ~knownFlags) !== 0) return false
  return (parts.blockCount === 1 || (isUpdate && parts.blockCount === 2)) && parts.isMainFork(0)
}

function holds(view: WalRecordView, bytes: number): boolean {
  return view.parts.mainBytes === bytes && view.mainEnd - view.mainBegin === bytes
}

/** The old version, or its key, comes behind with a header of its own. */
function holdsWithOld(view: WalRecordView, bytes: number, hasOld: boolean): boolean {
  const { mainBytes } = view.parts
  return hasOld ? mainBytes > bytes + TUPLE_HEADER_BYTES : mainBytes === bytes
}

function shortage(view: WalRecordView): Unknown {
  return view.isCut ? 'cut' : 'content'
}

function isTruncate(view: WalRecordView): boolean {
  const { main, mainBegin: at, mainEnd } = view
  if (mainEnd - at < SIZE.truncate || ((main[at + 8] as number) & ~TRUNCATE.known) !== 0) return false
  return holds(view, SIZE.truncate + u32(main, at + 4) * 4)
}

export function decodeHeap(view: WalRecordView): EventBody | Unknown {
  const fields = createRowFields()
  const problem = readHeap(view, fields)
  if (problem !== undefined) return problem
  const { operation, offset, flags } = fields
  if (operation === 'truncate') return truncate(new Fields(view))
  const { parts } = view
  const block = parts.blocks[0] as number
  const tuple = { file: parts.file(0), block, offset }
  switch (operation) {
    case 'insert':
      return {
        type: 'insert',
        ...tuple,
        isSpeculative: (flags & INSERT.isSpeculative) !== 0,
        isToast: (flags & INSERT.isToast) !== 0,
      }
    case 'delete':
      return {
        type: 'delete',
        ...tuple,
        oldTuple: oldTuple(flags, DELETE),
        isUndoneInsert: isUndoneInsert(fields),
        isPartitionMove: isPartitionMove(fields),
      }
    case 'update':
    case 'hot-update':
      return {
        type: 'update',
        isHot: operation === 'hot-update',
        ...tuple,
        oldBlock: parts.blockCount > 1 ? (parts.blocks[1] as number) : block,
        oldOffset: fields.oldOffset,
        oldTuple: oldTuple(flags, UPDATE),
      }
    case 'confirm':
    case 'lock':
    case 'in-place-update':
      return { type: operation, ...tuple }
    default:
      return 'operation'
  }
}

/** Undefined when the record is none that changes rows. */
export function decodeHeap2(view: WalRecordView): EventBody | Unknown | undefined {
  const fields = createRowFields()
  const problem = readHeap2(view, fields)
  if (problem !== undefined) return problem
  if (fields.operation === 'none') return undefined
  const { main, mainBegin, parts } = view
  const isInit = (view.info & INIT_PAGE) !== 0
  const offsetOf = (index: number) => (isInit ? index + 1 : u16(main, mainBegin + SIZE.multiInsert + index * 2))
  return {
    type: 'multi-insert',
    file: parts.file(0),
    block: parts.blocks[0] as number,
    offsets: Array.from({ length: fields.rows }, (_, index) => offsetOf(index)),
    isToast: isToast(fields),
  }
}

function oldTuple(flags: number, bits: { readonly oldTuple: number; readonly oldKey: number }): OldTuple {
  if ((flags & bits.oldTuple) !== 0) return 'whole'
  return (flags & bits.oldKey) !== 0 ? 'key' : 'none'
}

function truncate(fields: Fields): EventBody {
  const flags = fields.u8(8)
  return {
    type: 'truncate',
    database: fields.u32(0),
    relationOids: fields.list(SIZE.truncate, { count: fields.u32(4), itemBytes: 4 }, (at) => fields.u32(at)),
    isCascade: (flags & TRUNCATE.cascade) !== 0,
    restartsSequences: (flags & TRUNCATE.restartSequences) !== 0,
  }
}
