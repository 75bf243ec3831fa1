/** Headers of WAL pages (src/include/access/xlog_internal.h): a short one on each page, a long one on the first of a segment. */
import { RetakeError } from '../../base/errors.ts'
import type { Lsn } from '../lsn.ts'
import { u16, u32, u64 } from './bytes.ts'

export const SHORT_PAGE_HEADER_BYTES = 24
export const LONG_PAGE_HEADER_BYTES = 40

/** `xlp_info` */
export const PAGE_FLAGS = {
  /** The page begins with the rest of a record of the page before. */
  continued: 0x01,
  long: 0x02,
  backupBlocksRemovable: 0x04,
  /** The record that should go on here was abandoned in a crash; a new one begins instead. */
  overwritesContinuation: 0x08,
} as const

export interface WalPageHeader {
  readonly magic: number
  /** The major version that writes this magic. */
  readonly major: number
  readonly flags: number
  readonly timeline: number
  /** The page's own position; in a recycled segment it is an old one. */
  readonly pageLsn: Lsn
  /** How much of the record that began on an earlier page is still to come. */
  readonly remainingBytes: number
  readonly headerBytes: number
  /** Only on the first page of a segment. */
  readonly segment?: {
    readonly systemIdentifier: string
    readonly segmentSizeBytes: number
    readonly walBlockSizeBytes: number
  }
}

const MAJORS: ReadonlyMap<number, number> = new Map([
  [0xd106, 13],
  [0xd10d, 14],
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
])

/** The major version of a page magic; undefined for one that this Retake does not know. */
export function majorOfPageMagic(magic: number): number | undefined {
  return MAJORS.get(magic)
}

/**
 * Reads the header at the beginning of a page. Undefined when the page was never written (its magic is zero).
 * @param bytes at least 24 bytes; 40 when the page carries a long header
 * @throws RetakeError `wal.damaged` naming an unknown magic
 */
export function parseWalPageHeader(bytes: Uint8Array): WalPageHeader | undefined {
  if (bytes.length < SHORT_PAGE_HEADER_BYTES) throw tooShort(bytes.length)
  const magic = u16(bytes, 0)
  if (magic === 0) return undefined
  const major = majorOfPageMagic(magic)
  if (major === undefined) {
    const shown = `0x${magic.toString(16).toUpperCase().padStart(4, '0')}`
    throw new RetakeError('wal.damaged', `A WAL page begins with ${shown}, which no known PostgreSQL writes.`, {
      hint: 'Either the page is damaged, or the server is newer than this Retake (13 to 18 are known).',
      details: { magic: shown },
    })
  }
  const flags = u16(bytes, 2)
  const isLong = (flags & PAGE_FLAGS.long) !== 0
  if (isLong && bytes.length < LONG_PAGE_HEADER_BYTES) throw tooShort(bytes.length)
  return {
    magic,
    major,
    flags,
    timeline: u32(bytes, 4),
    pageLsn: u64(bytes, 8) as Lsn,
    remainingBytes: u32(bytes, 16),
    headerBytes: isLong ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES,
    ...(isLong && {
      segment: {
        systemIdentifier: u64(bytes, 24).toString(),
        segmentSizeBytes: u32(bytes, 32),
        walBlockSizeBytes: u32(bytes, 36),
      },
    }),
  }
}

function tooShort(length: number): RetakeError {
  return new RetakeError('wal.damaged', `A WAL page header is cut short after ${length} bytes.`)
}
