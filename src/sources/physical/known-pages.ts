/** What the parent's block map says about a stretch of a file: which pages it holds, in how many frames, and the runs themselves. */
import type { FileRun } from '../../repository/manifest.ts'
import type { KnownFile } from './known-content.ts'
import type { KnownPages } from './page-change.ts'

export interface PageStretch {
  readonly fileOffsetBytes: number
  readonly lengthBytes: number
}

/** More frames than this are not told apart: the pages of the others count as not held. */
const MAX_SOURCES = 255

/**
 * The parent's pages in a stretch of the file. Not held are blocks beyond its end, blocks it holds as zeros, torn or corrupt ones,
 * pages of which only a part lies in a frame, and what lies in packs that are not to be used any more.
 * @param options `firstBlockNumber` of the file's first page in its relation, as torn and corrupt blocks are counted
 */
export function knownPages(
  file: KnownFile,
  stretch: PageStretch,
  options: {
    readonly blockSizeBytes: number
    readonly firstBlockNumber: number
    readonly condemned: ReadonlySet<string>
  },
): KnownPages {
  const { entry, packs } = file
  const { blockSizeBytes, firstBlockNumber, condemned } = options
  const count = Math.floor(stretch.lengthBytes / blockSizeBytes)
  const firstPage = stretch.fileOffsetBytes / blockSizeBytes
  const sources = new Uint8Array(count)
  const numbers = new Map<string, number>()
  for (const { offsetBytes, lengthBytes, frame } of overlapping(entry.runs, stretch)) {
    const pack = frame && packs[frame.pack]
    if (!frame || !pack || condemned.has(pack.packId)) continue
    const key = `${frame.pack} ${frame.index}`
    const number = numbers.get(key) ?? numbers.size + 1
    numbers.set(key, number)
    const begin = Math.max(firstPage, Math.ceil(offsetBytes / blockSizeBytes))
    const end = Math.min(firstPage + count, Math.floor((offsetBytes + lengthBytes) / blockSizeBytes))
    if (number <= MAX_SOURCES && begin < end) sources.fill(number, begin - firstPage, end - firstPage)
  }
  for (const block of [...(entry.tornBlocks ?? []), ...(entry.corruptBlocks ?? [])]) {
    const page = block - firstBlockNumber - firstPage
    if (page >= 0 && page < count) sources[page] = 0
  }
  return { sources, visible: sliceBits(entry.allVisible, { first: firstPage, count }) }
}

/** The runs of a stretch, cut to it, with offsets of the whole file. */
export function sliceRuns(runs: readonly FileRun[], stretch: PageStretch): FileRun[] {
  const end = stretch.fileOffsetBytes + stretch.lengthBytes
  return overlapping(runs, stretch).map((run) => {
    const begin = Math.max(run.offsetBytes, stretch.fileOffsetBytes)
    const lengthBytes = Math.min(run.offsetBytes + run.lengthBytes, end) - begin
    if (!run.frame) return { offsetBytes: begin, lengthBytes, frameOffsetBytes: 0 }
    return { ...run, offsetBytes: begin, lengthBytes, frameOffsetBytes: run.frameOffsetBytes + begin - run.offsetBytes }
  })
}

/** Neighbouring zeros become one run, and so do neighbours that are neighbours in their frame: an unchanged file keeps its runs. */
export function joinRuns(runs: readonly FileRun[]): FileRun[] {
  const joined: FileRun[] = []
  for (const run of runs) {
    const last = joined.at(-1)
    if (last && continues(last, run))
      joined[joined.length - 1] = { ...last, lengthBytes: last.lengthBytes + run.lengthBytes }
    else joined.push(run)
  }
  return joined
}

function continues(last: FileRun, next: FileRun): boolean {
  if (!last.frame || !next.frame) return !last.frame && !next.frame
  return (
    last.frame.pack === next.frame.pack &&
    last.frame.index === next.frame.index &&
    last.frameOffsetBytes + last.lengthBytes === next.frameOffsetBytes
  )
}

function overlapping(runs: readonly FileRun[], { fileOffsetBytes, lengthBytes }: PageStretch): FileRun[] {
  const found: FileRun[] = []
  for (let at = firstEndingAfter(runs, fileOffsetBytes); at < runs.length; at++) {
    const run = runs[at]
    if (!run || run.offsetBytes >= fileOffsetBytes + lengthBytes) break
    found.push(run)
  }
  return found
}

function firstEndingAfter(runs: readonly FileRun[], position: number): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >> 1
    const run = runs[middle]
    if (run && run.offsetBytes + run.lengthBytes > position) high = middle
    else low = middle + 1
  }
  return low
}

/** Bits of a bitmap as the manifest keeps it, from a bit on that need not begin a byte. */
export function sliceBits(
  text: string | undefined,
  options: { readonly first: number; readonly count: number },
): Uint8Array {
  const { first, count } = options
  const bits = new Uint8Array(Math.ceil(count / 8))
  if (text === undefined) return bits
  // Four letters hold three bytes: only what is needed of a large file's map is decoded.
  const from = Math.floor(first / 24) * 24
  const letters = text.slice((from / 24) * 4, Math.ceil((first + count) / 24) * 4)
  const bytes = Buffer.from(letters, 'base64url')
  for (let at = 0; at < count; at++) {
    const bit = first - from + at
    if (((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7))
  }
  return bits
}

/** The bitmap of a file from those of its stretches, as the manifest keeps it; undefined when no bit is set. */
export function encodeVisible(
  stretches: readonly { readonly fileOffsetBytes: number; readonly visible?: Uint8Array | undefined }[],
  blockSizeBytes: number,
): string | undefined {
  let bits = Buffer.alloc(0)
  for (const { fileOffsetBytes, visible } of stretches) {
    if (!visible?.some((byte) => byte !== 0)) continue
    const first = fileOffsetBytes / blockSizeBytes
    const needed = Math.ceil(first / 8) + visible.length + 1
    if (needed > bits.length) bits = Buffer.concat([bits, Buffer.alloc(Math.max(needed - bits.length, bits.length))])
    for (let at = 0; at < visible.length * 8; at++) {
      if (((visible[at >> 3] ?? 0) & (1 << (at & 7))) === 0) continue
      const bit = first + at
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7))
    }
  }
  let length = bits.length
  while (length > 0 && bits[length - 1] === 0) length--
  return length === 0 ? undefined : bits.toString('base64url', 0, length)
}
