/**
 * The two formats besides Zstandard in which servers compress pages in the log (`wal_compression`). Bytes that are not what they should be
 * give undefined.
 */

/**
 * PostgreSQL's own (src/common/pg_lzcompress.c): a byte of flags for eight items, the lowest first; an item is a byte, or, where the flag
 * is set, the length of a match and how far back it begins.
 */
export function decompressPglz(stored: Uint8Array, bytes: number): Uint8Array | undefined {
  const page = new Uint8Array(bytes)
  let at = 0
  let to = 0
  while (at < stored.length && to < bytes) {
    let flags = stored[at] as number
    at += 1
    for (let item = 0; item < 8 && at < stored.length && to < bytes; item += 1, flags >>= 1) {
      if ((flags & 1) === 0) {
        page[to] = stored[at] as number
        at += 1
        to += 1
        continue
      }
      if (at + 2 > stored.length) return undefined
      const low = stored[at] as number
      const distance = ((low & 0xf0) << 4) | (stored[at + 1] as number)
      let length = (low & 0x0f) + 3
      at += 2
      if (length === 18) {
        if (at >= stored.length) return undefined
        length += stored[at] as number
        at += 1
      }
      if (distance === 0 || distance > to) return undefined
      to = copyMatch(page, { to, distance, length })
    }
  }
  return to === bytes && at === stored.length ? page : undefined
}

/** A block of LZ4 (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md): literals, then a match, again and again. */
export function decompressLz4(stored: Uint8Array, bytes: number): Uint8Array | undefined {
  const page = new Uint8Array(bytes)
  let at = 0
  let to = 0
  const readLength = (nibble: number): number => {
    let length = nibble
    if (nibble < 15) return length
    for (let more = 255; more === 255; at += 1) {
      if (at >= stored.length) return Number.POSITIVE_INFINITY
      more = stored[at] as number
      length += more
    }
    return length
  }
  while (at < stored.length) {
    const token = stored[at] as number
    at += 1
    const literals = readLength(token >> 4)
    if (at + literals > stored.length || to + literals > bytes) return undefined
    page.set(stored.subarray(at, at + literals), to)
    at += literals
    to += literals
    // The last sequence has no match.
    if (at === stored.length) break
    if (at + 2 > stored.length) return undefined
    const distance = (stored[at] as number) | ((stored[at + 1] as number) << 8)
    at += 2
    const length = readLength(token & 15) + 4
    if (distance === 0 || distance > to || to + length > bytes) return undefined
    to = copyMatch(page, { to, distance, length })
  }
  return to === bytes ? page : undefined
}

/** Byte by byte, because a match may reach into what it writes. @returns where the next byte goes */
function copyMatch(
  page: Uint8Array,
  { to, distance, length }: { readonly to: number; readonly distance: number; readonly length: number },
): number {
  const end = Math.min(to + length, page.length)
  for (let place = to; place < end; place += 1) page[place] = page[place - distance] as number
  return end
}
