/** What a worker is told of a frame of plaintext, and what it answers. Plain data: it crosses the border between threads. */
import type { FramePiece } from './frame-cutter.ts'
import type { StoredFrame } from './pack-series.ts'
import type { KnownPages } from './page-change.ts'

/** A page whose checksum is wrong, with a fingerprint of what was stored, to tell later whether it changed meanwhile. */
export interface BadPage {
  readonly blockNumber: number
  readonly lsn: bigint
  readonly fingerprint: string
}

/** A stretch of one file in a frame of plaintext, with what is known about it beforehand. */
export interface TaskPiece extends FramePiece {
  /** Of pages: the number of the first one, counted over all segments of the relation. Absent: the bytes are not pages. */
  readonly firstBlockNumber?: number | undefined
  /** The pages carry checksums. */
  readonly checked: boolean
  /** The pages are of a main fork, which may call all their rows visible. */
  readonly mainFork: boolean
  /** The piece is a whole file that shares its frame. */
  readonly wholeFile: boolean
  /** Absent where the parent does not hold these pages, or their LSNs say nothing. */
  readonly known?: KnownPages | undefined
  /** Of all bytes of the file as the parent holds it. */
  readonly knownContentId?: string | undefined
}

/** Where a stretch of a file is held; `parent`: where the parent has it. */
export interface Placement {
  readonly file: number
  readonly fileOffsetBytes: number
  readonly lengthBytes: number
  readonly source: 'zeros' | 'parent' | { readonly frame: StoredFrame; readonly frameOffsetBytes: number }
  /** Of a stretch that was stored now and may be wanted again: the content id of its bytes. */
  readonly contentId?: string | undefined
}

export interface FrameOutcome {
  /** All of the frame but what waits in a bundle, which is placed later. */
  readonly placements: readonly Placement[]
  readonly badPages: readonly { readonly file: number; readonly pages: readonly BadPage[] }[]
  readonly facts: readonly PieceFindings[]
  /** Bytes that the parent does not hold, or holds otherwise. */
  readonly changedBytes: number
}

export interface PieceFindings {
  readonly file: number
  readonly fileOffsetBytes: number
  /** See `visiblePages`. */
  readonly visible?: Uint8Array | undefined
  readonly contentId?: string | undefined
}
