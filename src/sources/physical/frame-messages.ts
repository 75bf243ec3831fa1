/** What the thread of a backup and its workers say to each other. Plain data; file content travels in shared memory. */
import type { SerializedError } from '../../base/errors.ts'
import type { SharedMemory } from '../../postgres/kernel/kernel.ts'
import type { SealingData } from '../../repository/sealing.ts'
import type { StoreAddress } from '../../storage/store-address.ts'
import type { FrameOutcome, Placement, TaskPiece } from './frame-task.ts'
import type { KnownStretch } from './known-content.ts'
import type { PackFacts } from './pack-series.ts'
import type { PageRule } from './page-change.ts'

export interface FrameWorkerData {
  readonly memory: SharedMemory
  readonly store: StoreAddress
  readonly sealing: SealingData
  readonly backupId: string
  readonly compressionLevel: number
  readonly blockSizeBytes: number
  readonly pageRule?: PageRule | undefined
  readonly packTargetBytes?: number | undefined
}

export type ToFrameWorker =
  | {
      readonly type: 'frame'
      readonly job: number
      readonly slot: number
      readonly lengthBytes: number
      readonly pieces: readonly TaskPiece[]
    }
  /** The answer to `lookup`. */
  | { readonly type: 'known'; readonly lookup: number; readonly stretches: readonly (KnownStretch | undefined)[] }
  /** Commit the open pack and answer `finished`. */
  | { readonly type: 'finish' }
  /** Remove what is not committed and end. */
  | { readonly type: 'close' }

export type FromFrameWorker =
  | { readonly type: 'pack'; readonly pack: PackFacts }
  | { readonly type: 'stored'; readonly job: number; readonly outcome: FrameOutcome }
  | { readonly type: 'bundled'; readonly placements: readonly Placement[] }
  | { readonly type: 'lookup'; readonly lookup: number; readonly contentIds: readonly string[] }
  | { readonly type: 'finished'; readonly storedBytes: number }
  | { readonly type: 'closed' }
  | { readonly type: 'failed'; readonly error: SerializedError }
