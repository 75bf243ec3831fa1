/**
 * Which pages changed since the parent backup, by their own word: a page whose LSN is not beyond the parent's start was on disk
 * when the parent read it, and is what the parent holds. `docs/design/incremental.md` says what this misses and how it is met.
 */
import type { Lsn } from '../../postgres/lsn.ts'

/** What the parent holds of a stretch of pages. */
export interface KnownPages {
  /** For each page a number of the frame that holds it, from 1; 0: not held, or not to be relied on. Pages with equal numbers share a frame. */
  readonly sources: Uint8Array
  /** A bit for each page, lowest first: whether it called all its rows visible. */
  readonly visible: Uint8Array
}

export interface PageRule {
  readonly blockSizeBytes: number
  /** Where the parent's replay begins. */
  readonly sinceLsn: Lsn
  /** The first LSN that the log has; smaller ones do not come from it. */
  readonly leastLsn: Lsn
}

export interface PageStates {
  /** 1: not what the parent holds, or not known to be. */
  readonly changed: Uint8Array
  /** 1: only zeros. */
  readonly zero: Uint8Array
}

/** Pages that initdb wrote before there was a log carry this LSN until their first change: `SizeOfXLogLongPHD`. */
const BOOTSTRAP_LSN = 40
const FLAGS_OFFSET = 10
const ALL_VISIBLE = 0x0004
const MAX_BLOCK_BYTES = 32 * 1024
const ZEROS = Buffer.alloc(MAX_BLOCK_BYTES)

/**
 * A page counts as unchanged when the parent holds the same block, the page's LSN is real and not beyond the parent's start, and
 * its flag *all visible* is as it was. The flag is set without moving the LSN where neither checksums nor wal_log_hints are
 * on; a page that lacks it beneath a visibility map that has it would hide later changes from index-only scans.
 * @param bytes whole pages; at most as many as `known` describes
 */
export function classifyPages(
  bytes: Buffer,
  options: { readonly rule: PageRule; readonly known: KnownPages },
): PageStates {
  const { rule, known } = options
  const { blockSizeBytes } = rule
  const count = Math.floor(bytes.length / blockSizeBytes)
  const [sinceHigh, sinceLow] = halves(rule.sinceLsn)
  const [leastHigh, leastLow] = halves(rule.leastLsn)
  const changed = new Uint8Array(count)
  const zero = new Uint8Array(count)
  for (let page = 0; page < count; page++) {
    const at = page * blockSizeBytes
    const high = bytes.readUInt32LE(at)
    const low = bytes.readUInt32LE(at + 4)
    if (high === 0 && low === 0) {
      // Never logged, or zeros: nothing says that it is what the parent has.
      changed[page] = 1
      zero[page] = isZeroPage(bytes, at, blockSizeBytes) ? 1 : 0
      continue
    }
    const isOld = high < sinceHigh || (high === sinceHigh && low <= sinceLow)
    const isReal = high > leastHigh || (high === leastHigh && low >= leastLow) || (high === 0 && low === BOOTSTRAP_LSN)
    const visible = (bytes.readUInt16LE(at + FLAGS_OFFSET) & ALL_VISIBLE) !== 0
    const held = known.sources[page] !== 0 && visible === bitAt(known.visible, page)
    changed[page] = isOld && isReal && held ? 0 : 1
  }
  return { changed, zero }
}

/** A bit for each whole page, lowest first: whether it calls all its rows visible. */
export function visiblePages(bytes: Buffer, blockSizeBytes: number): Uint8Array {
  const count = Math.floor(bytes.length / blockSizeBytes)
  const bits = new Uint8Array(Math.ceil(count / 8))
  for (let page = 0; page < count; page++) {
    if ((bytes.readUInt16LE(page * blockSizeBytes + FLAGS_OFFSET) & ALL_VISIBLE) === 0) continue
    bits[page >> 3] = (bits[page >> 3] ?? 0) | (1 << (page & 7))
  }
  return bits
}

export function bitAt(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
}

function isZeroPage(bytes: Buffer, at: number, length: number): boolean {
  return ZEROS.compare(bytes, at, at + length, 0, length) === 0
}

function halves(lsn: Lsn): [high: number, low: number] {
  return [Number(lsn >> 32n), Number(lsn & 0xffff_ffffn)]
}
