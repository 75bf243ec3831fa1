/** Whether the score has dropped: compared with the best of the last day, and remembered until it is back. Pure. */
import { followLosses, type Loss } from '../checks/losses.ts'
import { type Band, bandOf, type HealthScore } from '../health/score.ts'

const DAY_MS = 86_400_000
/** So many points within a day, or a worse band. */
const DROP_POINTS = 20
/** It is back when it is as good as before but for these, and in the band in which it was. */
const NEARLY_POINTS = 10

/** What is known of a cluster's scores. Plain JSON. */
export interface ScoreMemory {
  /** Scores of different versions are not comparable. */
  readonly formula: number
  /** Those of the last day that no later one has reached, the oldest and highest first. */
  readonly best: readonly { readonly at: string; readonly value: number }[]
  readonly losses: readonly Loss[]
}

export function followScore(memory: ScoreMemory | undefined, score: HealthScore): ScoreMemory | undefined {
  const { value, at, formula } = score
  // What is unknown is no drop; that it is unknown is told by a rule of its own.
  if (value === undefined) return memory
  const known = memory?.formula === formula ? memory : { formula, best: [], losses: [] }
  const recent = known.best.filter((one) => Date.parse(at) - Date.parse(one.at) <= DAY_MS)
  const losses = followLosses(known.losses, { value, before: recent[0], seenAt: at, hasFallen, isBack })
  // A drop is told once: from then on it counts as where the score is.
  const isDrop = recent[0] !== undefined && hasFallen(recent[0].value, value)
  const higher = isDrop ? [] : recent.filter((one) => one.value > value)
  return { formula, best: [...higher, { at, value }], losses }
}

function hasFallen(before: number, value: number): boolean {
  return before - value >= DROP_POINTS || rank(bandOf(value)) > rank(bandOf(before))
}

function isBack(before: number, value: number): boolean {
  return before - value <= NEARLY_POINTS && rank(bandOf(value)) <= rank(bandOf(before))
}

const rank = (band: Band): number => ['good', 'attention', 'at risk', 'unknown'].indexOf(band)
