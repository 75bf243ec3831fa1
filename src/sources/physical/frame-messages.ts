/** What the thread of a backup and its workers say to each other. Plain data; file content travels in shared memory. */
import type { SerializedError } from '../../base/errors.ts'
import type { SealingData } from '../../repository/sealing.ts'
import type { CheckedStretch, FrameOutcome } from './frame-processor.ts'
import type { PackFacts } from './pack-series.ts'

export interface FrameWorkerData {
  readonly memory: SharedArrayBuffer
  readonly storeUrl: string
  readonly sealing: SealingData
  readonly backupId: string
  readonly compressionLevel: number
  readonly blockSizeBytes: number
  readonly packTargetBytes?: number | undefined
}

export type ToFrameWorker =
  | {
      readonly type: 'frame'
      readonly job: number
      readonly slot: number
      readonly lengthBytes: number
      readonly checked: readonly CheckedStretch[]
    }
  /** Commit the open pack and answer `finished`. */
  | { readonly type: 'finish' }
  /** Remove what is not committed and end. */
  | { readonly type: 'close' }

export type FromFrameWorker =
  | { readonly type: 'pack'; readonly pack: PackFacts }
  | { readonly type: 'stored'; readonly job: number; readonly outcome: FrameOutcome }
  | { readonly type: 'finished'; readonly storedBytes: number }
  | { readonly type: 'closed' }
  | { readonly type: 'failed'; readonly error: SerializedError }
