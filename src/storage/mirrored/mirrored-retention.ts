/** Object Lock where a repository is kept in several places: each copy has locks of its own length, or none. */
import { parseS3Url } from '../s3/s3-location.ts'
import type { CopyPlace } from '../store-address.ts'
import type { CopySet } from './copy-set.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Undefined when no copy has locks. */
export function longestLockDays(places: readonly CopyPlace[]): number | undefined {
  const days = places.flatMap(({ url }) => lockDaysOf(url) ?? [])
  return days.length === 0 ? undefined : Math.max(...days)
}

/**
 * Locks an object in every copy that has locks: where they last `longestDays`, until the moment, where they are shorter, so much
 * less. A copy that cannot be reached is locked with the next backup.
 * @returns the earliest moment until which a copy has it locked; undefined when one does not have it
 */
export async function retainCopies(
  copies: CopySet,
  object: { readonly key: string; readonly until: Date; readonly longestDays: number },
): Promise<Date | undefined> {
  const { key, until, longestDays } = object
  await copies.targets({ isReferring: true })
  let earliest: Date | undefined
  for (const copy of copies.targetsNow({ isReferring: true })) {
    const days = lockDaysOf(copy.url)
    if (days === undefined) continue
    const own = new Date(until.getTime() - (longestDays - days) * DAY_MS)
    const locked = await copy.move(async (store) => await store.retain?.(key, own))
    if (locked === undefined) return undefined
    if (earliest === undefined || locked < earliest) earliest = locked
  }
  return earliest ?? until
}

function lockDaysOf(url: string): number | undefined {
  return /^s3:/i.test(url) ? parseS3Url(url).objectLock?.days : undefined
}
