/** Which moment a drill recovers. Pure: what can be recovered, and the randomness, are passed in. */
import type { RetakeError } from '../base/errors.ts'
import type { WindowView } from '../engine/window.ts'
import { formatTarget, parseTarget } from '../recovery/targets.ts'

/** What was wanted: a target as `--at` takes it, or `random`. */
export type WantedTarget = string

export interface ChosenTarget {
  /** As `--at` takes it. */
  readonly asked: string
  readonly chosen: 'asked' | 'random' | 'latest'
  /** For the report: why this one. */
  readonly why: string
  /** The moment that is to be recovered, ISO 8601 UTC, when the target is one. */
  readonly at?: string | undefined
  /** The branch on which it lies; default: the newest that holds it. */
  readonly timeline?: number | undefined
}

/** Windows as they are shown, oldest branch first. */
export type Windows = readonly Pick<WindowView, 'timeline' | 'from' | 'to'>[]

export const RANDOM_TARGET = 'random'

/**
 * A moment at random is drawn from all the time that can be recovered, each second alike: who always rehearses the newest moment never
 * learns whether the others come back.
 * @param random between 0 and 1, 1 excluded
 * @throws RetakeError `target.invalid` when what is wanted is no target
 */
export function chooseTarget(
  wanted: WantedTarget,
  { windows, now, random }: { readonly windows: Windows; readonly now: Date; readonly random: number },
): ChosenTarget {
  if (wanted === RANDOM_TARGET) return chooseRandom(windows, { now, random })
  const target = parseTarget(wanted)
  const asked = formatTarget(target)
  if (target.kind === 'latest') {
    return { asked, chosen: 'latest', why: 'The newest moment was asked for.', at: now.toISOString() }
  }
  const why = 'This target was asked for.'
  if (target.kind !== 'time') return { asked, chosen: 'asked', why }
  return { asked, chosen: 'asked', why, at: new Date(Number(target.instant / 1000n)).toISOString() }
}

interface Stretch {
  readonly timeline: number
  readonly beginMs: number
  readonly endMs: number
}

function chooseRandom(
  windows: Windows,
  { now, random }: { readonly now: Date; readonly random: number },
): ChosenTarget {
  const stretches = windows.flatMap(stretchOf)
  const totalMs = stretches.reduce((sum, { beginMs, endMs }) => sum + endMs - beginMs, 0)
  if (totalMs === 0) {
    const why = 'No stretch of time can be recovered whose both ends are known, so the newest moment was taken.'
    return { asked: 'latest', chosen: 'latest', why, at: now.toISOString() }
  }
  let restMs = Math.floor(random * totalMs)
  const last = stretches.at(-1) as Stretch
  const stretch = stretches.find(({ beginMs, endMs }) => {
    if (restMs < endMs - beginMs) return true
    restMs -= endMs - beginMs
    return false
  })
  const { timeline, beginMs } = stretch ?? last
  const at = new Date(beginMs + restMs).toISOString()
  const hours = (totalMs / 3_600_000).toFixed(1)
  const why = `A moment at random, out of ${hours} hours that can be recovered on ${stretches.length === 1 ? 'one stretch' : `${stretches.length} stretches`}.`
  return { asked: formatTarget(parseTarget(at)), chosen: 'random', why, at, timeline }
}

/** The edges themselves are left out: the clocks that told them are not exact to the millisecond. */
function stretchOf({ timeline, from, to }: Windows[number]): Stretch[] {
  const [beginMs, endMs] = [Date.parse(from.at ?? ''), Date.parse(to.at ?? '')]
  return endMs > beginMs ? [{ timeline, beginMs: beginMs + 1, endMs }] : []
}

/** A target that lies outside of what can be recovered is the mistake of whoever asked, and no finding. */
export function isMistaken(error: RetakeError, { chosen }: Pick<ChosenTarget, 'chosen'>): boolean {
  return chosen === 'asked' && error.code.startsWith('target.')
}
