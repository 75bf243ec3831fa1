/**
 * What has fallen and is not back yet. A fall is seen between two looks only, so it is remembered with what was there before, until
 * that is made good. Pure.
 */
import * as z from 'zod'

export const lossSchema = z.object({
  /** What was there before. */
  before: z.number(),
  /** When that was seen last, ISO 8601 UTC: the moment to go back to. */
  at: z.iso.datetime(),
  /** When the fall was seen, our clock, ISO 8601 UTC. */
  seenAt: z.iso.datetime(),
})

export type Loss = z.infer<typeof lossSchema>

export interface FollowOptions {
  readonly value: number
  /** What it is compared with; undefined: nothing is known of before. */
  readonly before: { readonly value: number; readonly at: string } | undefined
  readonly seenAt: string
  readonly hasFallen: (before: number, value: number) => boolean
  readonly isBack: (before: number, value: number) => boolean
}

/** The losses that are left, the oldest first. Each further one begins lower than those before it, so they are few. */
export function followLosses(losses: readonly Loss[], options: FollowOptions): Loss[] {
  const { value, before, seenAt, hasFallen, isBack } = options
  const left = losses.filter((loss) => !isBack(loss.before, value))
  if (!before || !hasFallen(before.value, value)) return left
  return [...left, { before: before.value, at: before.at, seenAt }]
}
