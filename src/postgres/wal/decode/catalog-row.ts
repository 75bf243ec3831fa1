/**
 * Rows of the catalogs that give files their names, as far as a record holds them: for what was made, renamed or written anew since the
 * newest backup. A catalog that was itself written anew (VACUUM FULL) has another file, and is not recognised.
 */
import { CATALOG } from '../../catalog/catalog-rows.ts'
import { heapRow } from '../../catalog/heap-page.ts'
import { blockData, blockImage } from '../block-content.ts'
import { u16 } from '../bytes.ts'
import type { RecordParts, RelationFile } from '../record-parts.ts'
import type { WalRecordView } from '../record-view.ts'
import type { EventPlace } from './event.ts'
import { createRowFields, type RowFields, type RowOperation, readHeap } from './heap.ts'

/** The columns that are read lie in the first bytes of a row. */
export const ROW_HEAD_BYTES = 120
/** Of a row as it lies in a page; what a record holds begins behind it (SizeofHeapTupleHeader). */
const TUPLE_HEADER_BYTES = 23
/** xl_heap_header: two flags, and how long the row's header is. */
const LOGGED_HEADER_BYTES = 5
/** xl_heap_update */
const UPDATE = { prefix: 0x20, suffix: 0x40 } as const

/** A row that was inserted, the new version of one that was changed, or one that was deleted. */
export interface CatalogRowEvent extends EventPlace {
  readonly type: 'catalog-row'
  /** Of the catalog. */
  readonly file: RelationFile
  readonly block: number
  readonly offset: number
  readonly change: 'insert' | 'update' | 'delete'
  /** Of all columns; 0 of a row that was deleted. */
  readonly lengthBytes: number
  /** The columns' first bytes, as base64; of a new version those behind what it has in common with the old one. */
  readonly head: string
  /** Of a new version in another place: where the old one lies, and how many of its first and last bytes are the same. */
  readonly from?: OldVersion | undefined
}

interface OldVersion {
  readonly block: number
  readonly offset: number
  readonly prefixBytes: number
  readonly suffixBytes: number
}

export function isNamingCatalog(parts: RecordParts): boolean {
  if (parts.blockCount === 0) return false
  const number = parts.relfilenodes[0] as number
  return (
    (number === CATALOG.relation || number === CATALOG.namespace || number === CATALOG.database) && parts.isMainFork(0)
  )
}

const CHANGES: Partial<Record<RowOperation, CatalogRowEvent['change']>> = {
  insert: 'insert',
  update: 'update',
  'hot-update': 'update',
  'in-place-update': 'update',
  delete: 'delete',
}

/** Of a record about a row of such a catalog; undefined when it changes none, or does not hold what it makes of it. */
export function decodeCatalogRow(view: WalRecordView): CatalogRowEvent | undefined {
  const fields = createRowFields()
  if (readHeap(view, fields) !== undefined) return undefined
  const change = CHANGES[fields.operation]
  if (change === undefined) return undefined
  const row = change === 'delete' ? NO_ROW : rowOf(view, fields)
  if (!row) return undefined
  const { lsn, endLsn, xid, parts } = view
  return {
    ...{ type: 'catalog-row', lsn, endLsn, xid, topXid: parts.topXid || undefined },
    ...{ file: parts.file(0), block: parts.blocks[0] as number, offset: fields.offset, change },
    lengthBytes: row.lengthBytes,
    head: Buffer.from(row.head).toString('base64'),
    ...(row.from ? { from: row.from } : {}),
  }
}

interface LoggedRow {
  readonly lengthBytes: number
  readonly head: Uint8Array
  readonly from?: OldVersion | undefined
}

const NO_ROW: LoggedRow = { lengthBytes: 0, head: new Uint8Array(0) }

function rowOf(view: WalRecordView, { operation, flags, offset, oldOffset }: RowFields): LoggedRow | undefined {
  const { blocks, blockCount } = view.parts
  const old = { block: blocks[blockCount > 1 ? 1 : 0] as number, offset: oldOffset }
  const isMoved = operation === 'update' || operation === 'hot-update'
  const whole = (columns: Uint8Array): LoggedRow => ({
    lengthBytes: columns.length,
    head: columns.subarray(0, ROW_HEAD_BYTES),
    ...(isMoved ? { from: { ...old, prefixBytes: 0, suffixBytes: 0 } } : {}),
  })
  const page = blockImage(view, 0)
  const columns = page && heapRow(page, offset)
  if (columns) return whole(new Uint8Array(columns.buffer, columns.byteOffset, columns.byteLength))
  const data = blockData(view, 0)
  if (!data || data.length === 0) return undefined
  if (operation === 'in-place-update') return whole(data)
  const { prefixBytes, suffixBytes, columns: changed } = changedColumns(data, isMoved ? flags : 0)
  if (!changed) return undefined
  return {
    lengthBytes: prefixBytes + changed.length + suffixBytes,
    head: changed.subarray(0, Math.max(0, ROW_HEAD_BYTES - prefixBytes)),
    ...(isMoved ? { from: { ...old, prefixBytes, suffixBytes } } : {}),
  }
}

/** What a record without the page holds of a row: how much is as it was, a header, and the columns between. */
function changedColumns(
  data: Uint8Array,
  flags: number,
): { readonly prefixBytes: number; readonly suffixBytes: number; readonly columns: Uint8Array | undefined } {
  let at = 0
  const readLength = (bit: number): number => {
    if ((flags & bit) === 0 || at + 2 > data.length) return 0
    at += 2
    return u16(data, at - 2)
  }
  const prefixBytes = readLength(UPDATE.prefix)
  const suffixBytes = readLength(UPDATE.suffix)
  const headerBytes = data[at + LOGGED_HEADER_BYTES - 1] ?? 0
  const begin = at + LOGGED_HEADER_BYTES + headerBytes - TUPLE_HEADER_BYTES
  const isRow = headerBytes >= TUPLE_HEADER_BYTES && begin <= data.length
  return { prefixBytes, suffixBytes, columns: isRow ? data.subarray(begin) : undefined }
}
