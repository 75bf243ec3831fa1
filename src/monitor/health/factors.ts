/** The arithmetic of the score: every measure becomes a factor between 0 and 1. */

export function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}

/** Full up to the target, nothing from twice the target on, a straight line between. */
export function upTo(measured: number, target: number): number {
  if (measured <= target) return 1
  return target <= 0 ? 0 : clamp(2 - measured / target)
}

/** Full from the target on, nothing up to half of it. */
export function atLeast(measured: number, target: number): number {
  return target <= 0 ? 1 : clamp((2 * measured) / target - 1)
}

/**
 * What missed slots cost: half for the first, all for the second. Where so many slots are counted that the target allows more than
 * one to be missed, that many take the place of one.
 */
export function slotFactor(missed: number, options: { readonly slots: number; readonly successShare: number }): number {
  const budget = Math.max(1, options.slots * (1 - options.successShare))
  return clamp(1 - missed / (2 * budget))
}

/** How much each depth of a proof is worth: 0 listed, 1 checksums, 2 restored, 3 SQL checks, 4 application, 5 by a person. */
const DEPTH_FACTORS = [0.1, 0.3, 0.6, 0.8, 1, 1] as const

export function depthFactor(depth: number): number {
  if (depth < 0) return 0
  return DEPTH_FACTORS[Math.min(DEPTH_FACTORS.length - 1, Math.floor(depth))] ?? 0
}
