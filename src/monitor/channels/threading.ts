/** What becomes of the incident's first message when more is known. Pure. */
import type { Notice, NoticeKind } from '../alerts/notice.ts'

export interface Posting {
  /** The first message is brought up to date. */
  readonly update: boolean
  /** A new message; an answer to the first where the channel knows answers. */
  readonly loud: boolean
}

/** Whose news are the state of the incident itself, and not a call for attention. */
const STATES: readonly NoticeKind[] = ['acknowledged', 'resolved', 'withdrawn']
/** Must be seen by those who do not follow the thread. */
const CALLS: readonly NoticeKind[] = ['escalated', 'broadcast', 'refired']

/** `loud`: shown to everybody, and not only in the thread. */
export function planPosting({ kind, isOver = true }: Pick<Notice, 'kind' | 'isOver'>, hasFirst: boolean): Posting {
  // While another alert of the incident is open, its first message does not say that it is over.
  return { update: hasFirst && isOver && STATES.includes(kind), loud: !hasFirst || CALLS.includes(kind) }
}
