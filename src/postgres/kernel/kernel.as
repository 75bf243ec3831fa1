// The hot loops over server bytes, in AssemblyScript: what `../page.ts` and `../crc32c.ts` say in TypeScript, and must equal.
// Compiled by scripts/build-kernel.ts into kernel-bytes.ts. Nothing is stored in the memory but at addresses that are passed in.

// @ts-ignore: decorator
@inline
const FNV_PRIME: i32 = 16777619

// @ts-ignore: decorator
@inline
function mix(sum: v128, words: v128): v128 {
  const mixed = v128.xor(sum, words)
  return v128.xor(i32x4.mul(mixed, i32x4.splat(FNV_PRIME)), i32x4.shr_u(mixed, 17))
}

// The two rows of zeros at the end.
// @ts-ignore: decorator
@inline
function finish(sum: v128): v128 {
  const zero = i32x4.splat(0)
  return mix(mix(sum, zero), zero)
}

/** The checksum of the page at `at`: 32 columns are eight vectors. `pd_checksum` is the lower half of word 2, and counts as 0. */
function pageChecksum(at: usize, pageBytes: u32, block: u32): u32 {
  const end = at + pageBytes
  let a = mix(i32x4(0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a), v128.and(v128.load(at), i32x4(-1, -1, 0xffff0000, -1)))
  let b = mix(i32x4(0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c), v128.load(at, 16))
  let c = mix(i32x4(0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa), v128.load(at, 32))
  let d = mix(i32x4(0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb), v128.load(at, 48))
  let e = mix(i32x4(0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de), v128.load(at, 64))
  let f = mix(i32x4(0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4), v128.load(at, 80))
  let g = mix(i32x4(0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e), v128.load(at, 96))
  let h = mix(i32x4(0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756), v128.load(at, 112))
  for (let row = at + 128; row < end; row += 128) {
    a = mix(a, v128.load(row))
    b = mix(b, v128.load(row, 16))
    c = mix(c, v128.load(row, 32))
    d = mix(d, v128.load(row, 48))
    e = mix(e, v128.load(row, 64))
    f = mix(f, v128.load(row, 80))
    g = mix(g, v128.load(row, 96))
    h = mix(h, v128.load(row, 112))
  }
  const left = v128.xor(v128.xor(finish(a), finish(b)), v128.xor(finish(c), finish(d)))
  const right = v128.xor(v128.xor(finish(e), finish(f)), v128.xor(finish(g), finish(h)))
  const all = v128.xor(left, right)
  const folded = i32x4.extract_lane(all, 0) ^ i32x4.extract_lane(all, 1) ^ i32x4.extract_lane(all, 2) ^ i32x4.extract_lane(all, 3)
  return (<u32>folded ^ block) % 65535 + 1
}

function isZero(at: usize, bytes: u32): bool {
  for (const end = at + bytes; at < end; at += 16) if (v128.any_true(v128.load(at))) return false
  return true
}

/** The first page from `page` on whose checksum is wrong, and that is not all zeros; `count` when there is none. */
export function firstBadPage(at: usize, page: u32, count: u32, pageBytes: u32, firstBlock: u32): u32 {
  for (; page < count; page++) {
    const start = at + page * pageBytes
    const stored = <u32>load<u16>(start, 8)
    if (stored == pageChecksum(start, pageBytes, firstBlock + page)) continue
    if (stored != 0 || !isZero(start, pageBytes)) return page
  }
  return count
}

/** Writes the sixteen tables of CRC-32C (16 KiB) to `tables`. */
export function crcTables(tables: usize): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
    store<u32>(tables + (byte << 2), crc)
  }
  for (let at: usize = 1024; at < 16 * 1024; at += 4) {
    const before = load<u32>(tables + at - 1024)
    store<u32>(tables + at, (before >> 8) ^ load<u32>(tables + ((before & 0xff) << 2)))
  }
}

// @ts-ignore: decorator
@inline
function four(tables: usize, word: u32): u32 {
  return (
    load<u32>(tables + ((word & 0xff) << 2), 3072) ^
    load<u32>(tables + (((word >> 8) & 0xff) << 2), 2048) ^
    load<u32>(tables + (((word >> 16) & 0xff) << 2), 1024) ^
    load<u32>(tables + ((word >> 24) << 2))
  )
}

/** CRC-32C of `length` bytes at `at`, going on from `previous`; sixteen bytes a step. */
export function crc32c(tables: usize, at: usize, length: u32, previous: u32): u32 {
  let crc = ~previous
  for (; length >= 16; length -= 16) {
    crc =
      four(tables + 12 * 1024, load<u32>(at) ^ crc) ^
      four(tables + 8 * 1024, load<u32>(at, 4)) ^
      four(tables + 4 * 1024, load<u32>(at, 8)) ^
      four(tables, load<u32>(at, 12))
    at += 16
  }
  // What is left of short stretches is most of them.
  if (length >= 8) {
    crc = four(tables + 4 * 1024, load<u32>(at) ^ crc) ^ four(tables, load<u32>(at, 4))
    at += 8
    length -= 8
  }
  if (length >= 4) {
    crc = four(tables, load<u32>(at) ^ crc)
    at += 4
    length -= 4
  }
  for (; length > 0; length--) {
    crc = load<u32>(tables + (((crc ^ load<u8>(at)) & 0xff) << 2)) ^ (crc >> 8)
    at++
  }
  return ~crc
}

/** As PostgreSQL computes it of a log record: of what follows its header, then of the header but for the sum, which is last in it. */
export function recordCrc32c(tables: usize, at: usize, length: u32, headerBytes: u32): u32 {
  const body = crc32c(tables, at + headerBytes, length - headerBytes, 0)
  return crc32c(tables, at, headerBytes - 4, body)
}
