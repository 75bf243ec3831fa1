/**
 * What a record holds of its blocks: data for the change, or the whole page (src/include/access/xlogrecord.h). It is read for few
 * records only, and only where the reader has kept it.
 */
import { zstdDecompressSync } from 'node:zlib'
import { decompressLz4, decompressPglz } from './page-compression.ts'
import { IMAGE } from './record-parts.ts'
import type { WalRecordView } from './record-view.ts'

/** Of all pages that servers are built with by default; an image of another size is not read. */
const PAGE_BYTES = 8192

/** A view on what the record holds; undefined where the reader has not kept it. */
export function blockData(view: WalRecordView, index: number): Uint8Array | undefined {
  const begin = blockBegin(view, index)
  if (begin === undefined) return undefined
  const dataBegin = begin + (view.parts.imageBytes[index] as number)
  return view.main.subarray(dataBegin, dataBegin + (view.parts.dataBytes[index] as number))
}

/** The page as the record leaves it, a copy; undefined where there is none, or none that can be read. */
export function blockImage(view: WalRecordView, index: number): DataView | undefined {
  const { parts } = view
  const bytes = parts.imageBytes[index] as number
  const begin = blockBegin(view, index)
  if (begin === undefined || bytes === 0) return undefined
  const flags = parts.imageFlags[index] as number
  const isCompressed = (flags & IMAGE.compressed) !== 0
  const hasHole = (flags & IMAGE.hasHole) !== 0
  const holeOffset = hasHole ? (parts.holeOffsets[index] as number) : 0
  const holeBytes = !hasHole ? 0 : isCompressed ? (parts.holeBytes[index] as number) : PAGE_BYTES - bytes
  const stored = view.main.subarray(begin, begin + bytes)
  const content = isCompressed ? decompress(stored, flags, PAGE_BYTES - holeBytes) : stored
  if (content?.length !== PAGE_BYTES - holeBytes || holeOffset > content.length) return undefined
  const page = new Uint8Array(PAGE_BYTES)
  page.set(content.subarray(0, holeOffset))
  page.set(content.subarray(holeOffset), holeOffset + holeBytes)
  return new DataView(page.buffer)
}

function blockBegin({ parts, blocksBegin }: WalRecordView, index: number): number | undefined {
  if (blocksBegin < 0 || index >= parts.blockCount) return undefined
  let begin = blocksBegin
  for (let other = 0; other < index; other += 1)
    begin += (parts.imageBytes[other] as number) + (parts.dataBytes[other] as number)
  return begin
}

function decompress(stored: Uint8Array, flags: number, bytes: number): Uint8Array | undefined {
  if (bytes <= 0) return undefined
  if ((flags & IMAGE.pglz) !== 0) return decompressPglz(stored, bytes)
  if ((flags & IMAGE.lz4) !== 0) return decompressLz4(stored, bytes)
  try {
    return zstdDecompressSync(stored, { maxOutputLength: bytes })
  } catch {
    return undefined
  }
}
