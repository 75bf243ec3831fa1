/**
 * Whether an alert comes and goes so often that each of its notices says nothing. The share of changes among the last 21 evaluations,
 * newer ones counting more; it begins at 30 % and ends below 20 %.
 * https://www.naemon.io/documentation/usersguide/flapping.html
 */

/** 21 evaluations have 20 changes between them. */
const KEPT = 21
const BEGINS_AT = 0.3
const ENDS_BELOW = 0.2
/** The oldest change counts so much, the newest {@link NEWEST}, linear in between; their mean is 1. */
const OLDEST = 0.8
const NEWEST = 1.2

export function addEvaluation(changes: string, holds: boolean): string {
  return (changes + (holds ? '1' : '0')).slice(-KEPT)
}

/** From 0 to 1. Evaluations that were not yet made count as no change. */
export function changeShare(changes: string): number {
  const missing = KEPT - changes.length
  let sum = 0
  for (let index = 1; index < changes.length; index += 1) {
    if (changes[index] === changes[index - 1]) continue
    const place = missing + index - 1
    sum += OLDEST + ((NEWEST - OLDEST) * place) / (KEPT - 2)
  }
  return sum / (KEPT - 1)
}

export function isFlapping(changes: string, was: boolean): boolean {
  const share = changeShare(changes)
  return was ? share >= ENDS_BELOW : share >= BEGINS_AT
}
