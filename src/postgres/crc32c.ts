/**
 * CRC-32C (Castagnoli), the checksum of WAL records and of pg_control. Written here because the data path needs it at once,
 * while WebAssembly versions must be loaded asynchronously. Eight bytes a step ("slicing by 8").
 */

const POLYNOMIAL = 0x82f63b78
const [T0, T1, T2, T3, T4, T5, T6, T7] = createTables()

/** The remainder of each byte. */
export const CRC_TABLE: Readonly<Int32Array> = T0

function createTables(): readonly [T, T, T, T, T, T, T, T] {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    first[byte] = crc
  }
  const next = (table: T): T => table.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number))
  const second = next(first)
  const third = next(second)
  const fourth = next(third)
  const fifth = next(fourth)
  const sixth = next(fifth)
  const seventh = next(sixth)
  return [first, second, third, fourth, fifth, sixth, seventh, next(seventh)]
}

type T = Int32Array<ArrayBuffer>

/**
 * The checksum of `bytes`; with `previous`, of everything that went into `previous` followed by `bytes`.
 * @returns an unsigned 32-bit number
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return crc32cRange(bytes, { begin: 0, end: bytes.length, previous })
}

/** As {@link crc32c}, of the bytes from `begin` (inclusive) to `end` (exclusive), without making a view of them. */
export function crc32cRange(
  bytes: Uint8Array,
  range: { readonly begin: number; readonly end: number; readonly previous: number },
): number {
  let crc = ~range.previous
  let at = range.begin
  const { end } = range
  const whole = end - 8
  while (at <= whole) {
    crc ^=
      byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)
    crc =
      entry(T7, crc & 0xff) ^
      entry(T6, (crc >>> 8) & 0xff) ^
      entry(T5, (crc >>> 16) & 0xff) ^
      entry(T4, crc >>> 24) ^
      entry(T3, byteAt(bytes, at + 4)) ^
      entry(T2, byteAt(bytes, at + 5)) ^
      entry(T1, byteAt(bytes, at + 6)) ^
      entry(T0, byteAt(bytes, at + 7))
    at += 8
  }
  for (; at < end; at += 1) crc = entry(T0, (crc ^ byteAt(bytes, at)) & 0xff) ^ (crc >>> 8)
  return ~crc >>> 0
}

// The engine inlines both; they exist because every index here is in range and the compiler cannot know it.
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}

function entry(table: T, index: number): number {
  return table[index] as number
}
