/**
 * Rows of a heap page as they lie there (src/include/storage/bufpage.h, src/include/access/htup_details.h), whatever transactions say of
 * them. For files of a backup that was taken while the server worked: a page that does not look like one gives what of it makes sense.
 */

const PAGE_HEADER_BYTES = 24
const LINE_POINTER_BYTES = 4
const LP_NORMAL = 1
const TUPLE_HEADER_BYTES = 23
const LITTLE_ENDIAN = true

/** A version of a row, and where it lies. */
export interface HeapRow {
  readonly block: number
  /** The line pointer in the page, from 1. */
  readonly offset: number
  /** The column values, from the first column on. */
  readonly columns: DataView
}

/** Every row version on the pages. Views on `bytes`, which must not change meanwhile. */
export function* heapRows(
  bytes: Uint8Array,
  { blockSizeBytes, firstBlock = 0 }: { readonly blockSizeBytes: number; readonly firstBlock?: number | undefined },
): Generator<HeapRow> {
  for (let at = 0; at + blockSizeBytes <= bytes.length; at += blockSizeBytes) {
    const page = new DataView(bytes.buffer, bytes.byteOffset + at, blockSizeBytes)
    const block = firstBlock + at / blockSizeBytes
    const lower = Math.min(page.getUint16(12, LITTLE_ENDIAN), page.byteLength)
    const count = Math.floor((lower - PAGE_HEADER_BYTES) / LINE_POINTER_BYTES)
    for (let offset = 1; offset <= count; offset += 1) {
      const columns = heapRow(page, offset)
      if (columns) yield { block, offset, columns }
    }
  }
}

/** The column values of one row version on a page; undefined where there is none. */
export function heapRow(page: DataView, offset: number): DataView | undefined {
  const at = PAGE_HEADER_BYTES + (offset - 1) * LINE_POINTER_BYTES
  if (offset < 1 || at + LINE_POINTER_BYTES > page.byteLength) return undefined
  const pointer = page.getUint32(at, LITTLE_ENDIAN)
  const begin = pointer & 0x7fff
  const length = pointer >>> 17
  if (((pointer >>> 15) & 3) !== LP_NORMAL || length <= TUPLE_HEADER_BYTES || begin + length > page.byteLength)
    return undefined
  const headerBytes = page.getUint8(begin + 22)
  if (headerBytes < TUPLE_HEADER_BYTES || headerBytes >= length) return undefined
  return new DataView(page.buffer, page.byteOffset + begin + headerBytes, length - headerBytes)
}
