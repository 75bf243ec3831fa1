/** From the parts of a file, wherever each of them is held, to its entry in the manifest. */
import { assert } from '../../base/errors.ts'
import type { FileEntry, FileRun, FrameRef } from '../../repository/manifest.ts'
import type { AssembledFile } from './file-assembly.ts'
import type { KnownFile } from './known-content.ts'
import { encodeVisible, joinRuns, sliceBits, sliceRuns } from './known-pages.ts'
import type { PackFacts, StoredFrame } from './pack-series.ts'

export interface FileEntryOptions {
  readonly blockSizeBytes: number
  /** Of the file's first page in its relation. */
  readonly firstBlockNumber: number
  /** The file as the parent has it; looked at only where something is left to it. */
  readonly parent: KnownFile | undefined
  /** Not all of it was read: what the parent knows of the rest still holds. */
  readonly increment: boolean
  /** The number of a pack in this manifest, which is declared if it was not. */
  readonly packNumber: (pack: PackFacts) => number
  readonly packOf: (packId: string) => PackFacts
}

export function fileEntry(file: AssembledFile, options: FileEntryOptions): FileEntry {
  const { path, sizeBytes, mode, modifiedMs, findings } = file
  const { blockSizeBytes } = options
  const inherited = options.increment ? inherit(file, options) : { visible: [], tornBlocks: [], corruptBlocks: [] }
  const allVisible = encodeVisible([...findings, ...inherited.visible], blockSizeBytes)
  const contentId = findings.find((one) => one.contentId !== undefined)?.contentId
  const { tornBlocks, corruptBlocks } = inherited
  return {
    type: 'file',
    ...{ path, sizeBytes, mode, modifiedMs },
    runs: joinRuns(runsOf(file, options)),
    ...(tornBlocks.length > 0 ? { tornBlocks } : {}),
    ...(corruptBlocks.length > 0 ? { corruptBlocks } : {}),
    ...(allVisible === undefined ? {} : { allVisible }),
    ...(contentId === undefined ? {} : { contentId }),
  }
}

function runsOf(file: AssembledFile, options: FileEntryOptions): FileRun[] {
  const { parent, packNumber, packOf } = options
  const reference = ({ packId, ...frame }: StoredFrame): FrameRef => ({ pack: packNumber(packOf(packId)), ...frame })
  return file.placements.flatMap((placement): FileRun[] => {
    const { fileOffsetBytes: offsetBytes, lengthBytes, source } = placement
    if (source === 'zeros') return [{ offsetBytes, lengthBytes, frameOffsetBytes: 0 }]
    if (source !== 'parent') {
      const { frame, frameOffsetBytes } = source
      return [{ offsetBytes, lengthBytes, frame: reference(frame), frameOffsetBytes }]
    }
    assert(parent !== undefined, 'what is left to the parent is a file of it')
    return sliceRuns(parent.entry.runs, placement).map((run) => {
      const pack = run.frame && parent.packs[run.frame.pack]
      return run.frame && pack ? { ...run, frame: { ...run.frame, pack: packNumber(pack) } } : run
    })
  })
}

/** What is known of pages that were left to the parent without being looked at. */
function inherit({ placements }: AssembledFile, options: FileEntryOptions) {
  const { parent, blockSizeBytes, firstBlockNumber } = options
  const stretches = placements
    .filter(({ source }) => source === 'parent')
    .map(({ fileOffsetBytes, lengthBytes }) => ({
      fileOffsetBytes,
      first: fileOffsetBytes / blockSizeBytes,
      count: lengthBytes / blockSizeBytes,
    }))
  const isLeft = (block: number) => {
    const page = block - firstBlockNumber
    return stretches.some(({ first, count }) => page >= first && page < first + count)
  }
  return {
    visible: stretches.map(({ fileOffsetBytes, first, count }) => ({
      fileOffsetBytes,
      visible: sliceBits(parent?.entry.allVisible, { first, count }),
    })),
    tornBlocks: (parent?.entry.tornBlocks ?? []).filter(isLeft),
    corruptBlocks: (parent?.entry.corruptBlocks ?? []).filter(isLeft),
  }
}
