/**
 * Rows of a heap page as they lie there (src/include/storage/bufpage.h, src/include/access/htup_details.h), whatever transactions say of
 * them. For files of a backup that was taken while the server worked: a page that does not look like one gives what of it makes sense.
 */

const PAGE_HEADER_BYTES = 24
const LINE_POINTER_BYTES = 4
const LP_NORMAL = 1
const TUPLE_HEADER_BYTES = 23
const LITTLE_ENDIAN = true

/** The column values of every row version on the pages, from the first column on. Views on `bytes`, which must not change meanwhile. */
export function* heapRows(
  bytes: Uint8Array,
  { blockSizeBytes }: { readonly blockSizeBytes: number },
): Generator<DataView> {
  for (let at = 0; at + blockSizeBytes <= bytes.length; at += blockSizeBytes) {
    yield* pageRows(new DataView(bytes.buffer, bytes.byteOffset + at, blockSizeBytes))
  }
}

function* pageRows(page: DataView): Generator<DataView> {
  const lower = Math.min(page.getUint16(12, LITTLE_ENDIAN), page.byteLength)
  for (let at = PAGE_HEADER_BYTES; at + LINE_POINTER_BYTES <= lower; at += LINE_POINTER_BYTES) {
    const pointer = page.getUint32(at, LITTLE_ENDIAN)
    const offset = pointer & 0x7fff
    const length = pointer >>> 17
    if (((pointer >>> 15) & 3) !== LP_NORMAL || length <= TUPLE_HEADER_BYTES || offset + length > page.byteLength)
      continue
    const headerBytes = page.getUint8(offset + 22)
    if (headerBytes < TUPLE_HEADER_BYTES || headerBytes >= length) continue
    yield new DataView(page.buffer, page.byteOffset + offset + headerBytes, length - headerBytes)
  }
}
