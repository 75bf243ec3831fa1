/** What the receiver and its sealing worker say to each other. */
import type { SerializedError } from '../../base/errors.ts'
import type { ClusterFacts } from '../../repository/cluster.ts'
import type { SealingData } from '../../repository/sealing.ts'
import type { StoreAddress } from '../../storage/store-address.ts'
import type { SealJob } from './segment-sealing.ts'

export interface SegmentWorkerData {
  readonly store: StoreAddress
  readonly facts: ClusterFacts
}

export type ToSegmentWorker =
  /** The keys go with each job: a tail may be sealed by an epoch that was begun after the worker. */
  { readonly type: 'seal'; readonly job: SealJob; readonly sealing: SealingData } | { readonly type: 'close' }

/** One answer for each job, in order. */
export type FromSegmentWorker =
  | { readonly type: 'sealed'; readonly damage?: SerializedError | undefined }
  | { readonly type: 'failed'; readonly error: SerializedError }
