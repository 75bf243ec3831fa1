/** The times in which nothing is begun. What falls into one begins when it ends; a blackout postpones, it cancels nothing. */
import { occurrencesBefore } from './occurrences.ts'
import type { Blackout, Schedule } from './schedule.ts'

interface Stretch {
  readonly fromMs: number
  readonly untilMs: number
}

type Zoned = Pick<Schedule, 'blackouts' | 'zone'>

/** Blackouts that follow each other without a pause for longer than this leave no time at all. */
const LONGEST_MS = 100 * 86_400_000

/** The first instant from here on at which something may begin; undefined: blackouts leave none. */
export function endOfBlackouts(schedule: Zoned, atMs: number): number | undefined {
  let endMs = atMs
  for (;;) {
    const inside = stretchesAround(schedule, endMs)
    if (inside.length === 0) return endMs
    endMs = Math.max(...inside.map(({ untilMs }) => untilMs))
    if (endMs - atMs > LONGEST_MS) return undefined
  }
}

/** The beginning of the blackouts, one after the other, that reach up to this instant; the instant itself where none does. */
export function beginOfBlackouts(schedule: Zoned, atMs: number): number {
  let beginMs = atMs
  for (;;) {
    // A moment earlier: one that ends here reaches up to here.
    const inside = stretchesAround(schedule, beginMs - 1)
    if (inside.length === 0 || atMs - beginMs > LONGEST_MS) return beginMs
    beginMs = Math.min(...inside.map(({ fromMs }) => fromMs))
  }
}

function stretchesAround(schedule: Zoned, atMs: number): Stretch[] {
  return schedule.blackouts
    .flatMap((blackout) => stretchBefore(blackout, { zone: schedule.zone, atMs }))
    .filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs)
}

/** The one that began last, which reaches furthest. */
function stretchBefore(
  blackout: Blackout,
  { zone, atMs }: { readonly zone: string; readonly atMs: number },
): Stretch[] {
  if (blackout.kind === 'once') return [blackout]
  const [from] = occurrencesBefore(blackout.cron, { zone, before: new Date(atMs + 1) }).take(1)
  return from ? [{ fromMs: from.getTime(), untilMs: from.getTime() + blackout.lengthMs }] : []
}
