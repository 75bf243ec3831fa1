/** Records that are longer than a segment: where reading must begin to see one whole. */
import { isRetakeError } from '../../base/errors.ts'
import {
  LONG_PAGE_HEADER_BYTES,
  PAGE_FLAGS,
  parseWalPageHeader,
  SHORT_PAGE_HEADER_BYTES,
  type WalPageHeader,
} from './page-header.ts'

const DEFAULT_BLOCK_BYTES = 8192

/**
 * Whether a segment holds nothing but the middle of one record, which began in an earlier segment and ends in a later one. What
 * does not decode says no; whoever reads the segment finds out why.
 * @param firstBytes at least the header of the segment's first page
 */
export function isCoveredByOneRecord(firstBytes: Uint8Array, segmentSizeBytes: number): boolean {
  const header = readHeader(firstBytes)
  if (!header || (header.flags & PAGE_FLAGS.continued) === 0) return false
  const blockBytes = header.segment?.walBlockSizeBytes ?? DEFAULT_BLOCK_BYTES
  const pages = segmentSizeBytes / blockBytes
  const contentBytes = segmentSizeBytes - LONG_PAGE_HEADER_BYTES - (pages - 1) * SHORT_PAGE_HEADER_BYTES
  return header.remainingBytes > contentBytes
}

function readHeader(bytes: Uint8Array): WalPageHeader | undefined {
  try {
    return parseWalPageHeader(bytes)
  } catch (error) {
    if (!isRetakeError(error, 'wal.damaged')) throw error
    return undefined
  }
}
