import type { FrameCodec } from './manifest.ts'

export interface FrameLocation {
  /** Position in the footer's list; part of the cipher's nonce. */
  readonly index: number
  readonly offsetBytes: number
  /** With the tag of the cipher. */
  readonly storedBytes: number
  readonly plainBytes: number
  readonly codec: FrameCodec
  readonly contentId?: string | undefined
}
