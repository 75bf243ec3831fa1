/** What one pass over two copies works with. */
import type { ProgressListener } from '../../base/progress.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { Authenticator } from './authenticity.ts'
import type { SyncTally } from './sync-report.ts'

/** One copy of a repository, on its own. */
export interface CopySide {
  readonly name: string
  /** This copy alone. */
  readonly store: ObjectStore
  /** Where new objects for it go: to the other current copies as well, when it is one of them. */
  readonly target: ObjectStore
}

export interface PassContext {
  /** The one that counts where both have something. */
  readonly primary: CopySide
  readonly other: CopySide
  readonly authenticator: Authenticator
  readonly tally: SyncTally
  /** Compare the headers of everything, not only of what can have been sealed twice when copies parted. */
  readonly isFull: boolean
  /** The other one has been written to all the time: nothing was sealed twice. */
  readonly isCurrent: boolean
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}
