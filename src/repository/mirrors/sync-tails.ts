/**
 * Parts of tails grow and are deleted when their segment is finished. Only the copy that is behind is changed: in the primary a receiver may be
 * writing them just now.
 */
import { copyObject } from '../../storage/mirrored/move-object.ts'
import type { Judgement } from './authenticity.ts'
import { compareListings, type Sighting } from './listing.ts'
import type { PassContext } from './pass-context.ts'

export interface TailsOptions {
  readonly prefix: string
  readonly timelinePrefix: string
}

export async function syncTails(context: PassContext, options: TailsOptions): Promise<void> {
  const { primary, other } = context
  for await (const one of compareListings(primary.store, other.store, options.prefix)) {
    if (one.left && one.right) await joinPart(context, one)
    else if (one.left) await bringPart(context, one)
    else await returnPart(context, one, options)
  }
}

/** To the copy that is behind; as much as is there now. */
async function bringPart(
  { primary, other, authenticator, tally }: PassContext,
  { key, left }: Sighting,
): Promise<void> {
  const { state } = await authenticator.judge(primary.store, key, { depth: 'quick' })
  if (state === 'damaged') return tally.damaged(primary.name, key)
  const bytes = await primary.store.get(key)
  if (bytes === undefined || !left) return
  if (!(await other.store.create(key, bytes))) return
  tally.counts.copiedObjects++
  tally.counts.copiedBytes += bytes.length
}

/** Only the copy that is behind has it: obsolete, or what it alone received. */
async function returnPart(context: PassContext, { key, right }: Sighting, options: TailsOptions): Promise<void> {
  const { primary, other, authenticator, tally } = context
  if (await isFinished(context, key, options)) {
    if (await other.store.delete(key)) tally.counts.deletedObjects++
    return
  }
  const judged = await authenticator.judge(other.store, key, { depth: 'quick' })
  if (judged.state === 'damaged') return tally.damaged(other.name, key)
  if (judged.state !== 'authentic' || !right) return
  if (!(await copyObject(other.store, primary.target, right))) return
  tally.counts.returnedObjects++
  tally.counts.returnedBytes += right.sizeBytes
}

/** The finished segment is in both copies. */
async function isFinished({ primary, other }: PassContext, key: string, options: TailsOptions): Promise<boolean> {
  const segment = key.slice(options.prefix.length).split('-')[0] ?? ''
  const stored = `${options.timelinePrefix}${segment}`
  const [ours, theirs] = await Promise.all([primary.store.head(stored), other.store.head(stored)])
  return ours !== undefined && theirs !== undefined
}

/** Both have begun it: of one growing part, one copy has more, and a copy that failed may have a torn end. */
async function joinPart(context: PassContext, { key, left, right }: Sighting): Promise<void> {
  const { primary, other, authenticator, tally, isCurrent, isFull } = context
  if (left?.sizeBytes === right?.sizeBytes && isCurrent && !isFull) return
  // Theirs first: a part only grows, and it grows in the primary before.
  const theirs = await other.store.get(key)
  const ours = await primary.store.get(key)
  if (ours === undefined || theirs === undefined || Buffer.compare(ours, theirs) === 0) return
  const [mine, yours] = await Promise.all(
    [primary, other].map((side) => authenticator.judge(side.store, key, { depth: 'quick' })),
  )
  if (mine?.state === 'damaged') return tally.damaged(primary.name, key)
  if (yours?.state === 'damaged') return tally.damaged(other.name, key)
  // A current copy is being written to beside us; what differs is on its way.
  if (isCurrent) return
  const continues = ours.length > theirs.length && Buffer.compare(ours.subarray(0, theirs.length), theirs) === 0
  if (!continues && endOf(yours) > endOf(mine)) return
  await other.store.replace(key, ours)
  tally.counts.replacedObjects++
}

function endOf(judged: Judgement | undefined): number {
  return judged?.state === 'authentic' ? Number(/\d+$/.exec(judged.meaning)?.[0]) : -1
}
