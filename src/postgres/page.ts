/**
 * Data pages: their checksum, and finding those whose checksum does not match.
 *
 * The checksum (src/include/storage/checksum_impl.h) sees the page as rows of 32 words. 32 sums run down the columns, each a
 * variant of FNV-1a from its own start value; two rows of zeros follow, then the sums are folded by exclusive or with the block number.
 */
import { type Kernel, openKernel, type SharedMemory } from './kernel/kernel.ts'
import type { Lsn } from './lsn.ts'

export interface PageFinding {
  readonly blockNumber: number
  /** From the page's own header, so of little worth when the header is what was damaged. */
  readonly lsn: Lsn
}

const COLUMNS = 32
const FNV_PRIME = 16777619

/** The published start values, one a column. */
const START_VALUES = Int32Array.of(
  ...[0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c],
  ...[0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb],
  ...[0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4],
  ...[0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756],
)

/**
 * The checksum that a page should carry as `pd_checksum`, which itself counts as 0.
 * @param page the page as 32-bit words of a little-endian machine
 * @param blockNumber counted from the beginning of the relation, not of the file
 */
export function pageChecksum(page: Int32Array, blockNumber: number): number {
  return checksumAt(page, blockNumber, { firstWord: 0, wordCount: page.length })
}

interface PagePlace {
  readonly firstWord: number
  readonly wordCount: number
}

function checksumAt(words: Int32Array, blockNumber: number, place: PagePlace): number {
  let folded = blockNumber
  for (let column = 0; column < COLUMNS; column += 8) folded ^= foldColumns(words, column, place)
  return ((folded >>> 0) % 65535) + 1
}

/** Eight columns at once, in local variables: their multiplications do not wait for each other. */
function foldColumns(words: Int32Array, column: number, place: PagePlace): number {
  let at = place.firstWord + column
  const end = place.firstWord + place.wordCount
  // pd_checksum is the lower half of word 2, and counts as 0.
  const mask = column === 0 ? ~0xffff : -1
  let a = mix(startValue(column), wordAt(words, at))
  let b = mix(startValue(column + 1), wordAt(words, at + 1))
  let c = mix(startValue(column + 2), wordAt(words, at + 2) & mask)
  let d = mix(startValue(column + 3), wordAt(words, at + 3))
  let e = mix(startValue(column + 4), wordAt(words, at + 4))
  let f = mix(startValue(column + 5), wordAt(words, at + 5))
  let g = mix(startValue(column + 6), wordAt(words, at + 6))
  let h = mix(startValue(column + 7), wordAt(words, at + 7))
  for (at += COLUMNS; at < end; at += COLUMNS) {
    a = mix(a, wordAt(words, at))
    b = mix(b, wordAt(words, at + 1))
    c = mix(c, wordAt(words, at + 2))
    d = mix(d, wordAt(words, at + 3))
    e = mix(e, wordAt(words, at + 4))
    f = mix(f, wordAt(words, at + 5))
    g = mix(g, wordAt(words, at + 6))
    h = mix(h, wordAt(words, at + 7))
  }
  return finish(a) ^ finish(b) ^ finish(c) ^ finish(d) ^ finish(e) ^ finish(f) ^ finish(g) ^ finish(h)
}

function mix(sum: number, word: number): number {
  const mixed = sum ^ word
  return Math.imul(mixed, FNV_PRIME) ^ (mixed >>> 17)
}

/** The two rows of zeros at the end. */
function finish(sum: number): number {
  return mix(mix(sum, 0), 0)
}

// The engine inlines these; every index is in range, which the compiler cannot know.
function wordAt(words: Int32Array, at: number): number {
  return words[at] as number
}

function startValue(column: number): number {
  return START_VALUES[column] as number
}

/** A kernel, and the memory that it sees. */
export interface PageKernel {
  readonly buffer: ArrayBufferLike
  readonly kernel: Kernel
}

/** Undefined where the processor lacks what the kernel needs. */
export function openPageKernel(memory: SharedMemory): PageKernel | undefined {
  const kernel = openKernel(memory)
  return kernel && { buffer: memory.buffer, kernel }
}

/**
 * The pages whose checksum does not match. A page of zeros is fine: the server extends files with them before it fills them.
 * Only for clusters with checksums on. Bytes after the last whole page are not looked at.
 * @param bytes consecutive pages; may be a view on shared memory
 */
export function findBadPages(
  bytes: Uint8Array,
  options: {
    /** Of the first page in `bytes`, counted from the beginning of the relation. */
    readonly firstBlockNumber: number
    readonly blockSizeBytes: number
    /** Does the work several times as fast, for bytes in its memory. */
    readonly kernel?: PageKernel | undefined
  },
): PageFinding[] {
  const { blockSizeBytes, firstBlockNumber, kernel } = options
  const wordCount = blockSizeBytes / 4
  const pages = Math.floor(bytes.length / blockSizeBytes)
  const words = wordsOf(bytes, pages * wordCount)
  const next =
    kernel?.buffer === bytes.buffer
      ? (page: number) => kernel.kernel.firstBadPage(bytes.byteOffset, page, pages, blockSizeBytes, firstBlockNumber)
      : (page: number) => firstBadPage(words, page, { pages, wordCount, firstBlockNumber })
  const findings: PageFinding[] = []
  for (let page = next(0); page < pages; page = next(page + 1)) {
    findings.push({ blockNumber: firstBlockNumber + page, lsn: lsnAt(words, page * wordCount) })
  }
  return findings
}

function firstBadPage(
  words: Int32Array,
  from: number,
  options: { readonly pages: number; readonly wordCount: number; readonly firstBlockNumber: number },
): number {
  const { pages, wordCount, firstBlockNumber } = options
  for (let page = from; page < pages; page += 1) {
    const place = { firstWord: page * wordCount, wordCount }
    const stored = wordAt(words, place.firstWord + 2) & 0xffff
    if (stored === checksumAt(words, firstBlockNumber + page, place)) continue
    if (stored !== 0 || !isZero(words, place)) return page
  }
  return pages
}

/** The LSN of the last change that a page has seen (`pd_lsn`). */
export function pageLsn(page: Int32Array): Lsn {
  return lsnAt(page, 0)
}

/** The two halves are stored as numbers of their own, the upper one first. */
function lsnAt(words: Int32Array, firstWord: number): Lsn {
  const high = BigInt(wordAt(words, firstWord) >>> 0)
  return ((high << 32n) | BigInt(wordAt(words, firstWord + 1) >>> 0)) as Lsn
}

function isZero(words: Int32Array, place: PagePlace): boolean {
  const end = place.firstWord + place.wordCount
  for (let at = place.firstWord; at < end; at += 1) if (words[at] !== 0) return false
  return true
}

/** A view without copying where the memory is aligned for one. */
function wordsOf(bytes: Uint8Array, length: number): Int32Array {
  if (bytes.byteOffset % 4 === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, length)
  // Not slice(): a Buffer's only makes another view.
  return new Int32Array(new Uint8Array(bytes).buffer, 0, length)
}
