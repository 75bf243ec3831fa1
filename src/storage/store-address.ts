/** How a store is opened again in another thread: a URL, or all places of one that is kept in several. */

/** When a write counts as done; see `docs/design/mirrors.md`. */
export const mirrorSyncs = ['available', 'quorum', 'all', 'primary'] as const
export type MirrorSync = (typeof mirrorSyncs)[number]

export interface CopyPlace {
  /** Stands in the records of all copies. */
  readonly name: string
  readonly url: string
}

export interface MirroredAddress {
  readonly copies: readonly CopyPlace[]
  readonly mirrorSync: MirrorSync
  /** Regular expressions: keys of objects that refer to others, which must be there first. */
  readonly referring: readonly string[]
  readonly limits: TimeLimits
  /** What the threads of a process know together of the copies. */
  readonly shared: SharedArrayBuffer
}

/** How long a place may take before it counts as failed. */
export interface TimeLimits {
  /** Of a question: a listing's first answer, a head, a small object. */
  readonly askMs: number
  /** Of a read, a piece of a write, a barrier. */
  readonly moveMs: number
}

export const DEFAULT_TIME_LIMITS: TimeLimits = { askMs: 10_000, moveMs: 60_000 }

export type StoreAddress = string | MirroredAddress

/** What to hand to a worker thread, so that it opens the same store. */
export function addressOf(store: { readonly url: string; readonly address?: StoreAddress }): StoreAddress {
  return store.address ?? store.url
}
