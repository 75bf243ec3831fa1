/** What the receiver and the thread that keeps the journal say to each other. */
import type { SerializedError } from '../../base/errors.ts'
import type { UpdatedJournal } from '../../journal/update.ts'
import type { ClusterFacts } from '../../repository/cluster.ts'
import type { SealingData } from '../../repository/sealing.ts'
import type { StoreAddress } from '../../storage/store-address.ts'

export interface JournalWorkerData {
  readonly store: StoreAddress
  readonly facts: ClusterFacts
}

export type ToJournalWorker =
  /** The keys go with each request: there may be a new epoch since. */
  { readonly type: 'update'; readonly sealing: SealingData } | { readonly type: 'close' }

/** One answer for each update. */
export type FromJournalWorker =
  | { readonly type: 'updated'; readonly updated: UpdatedJournal }
  | { readonly type: 'failed'; readonly error: SerializedError }
