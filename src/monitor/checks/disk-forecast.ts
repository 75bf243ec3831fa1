/** When the disk of the repository is full if it goes on filling as it has. Pure. */
import * as z from 'zod'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A sample so often, for so long: a day has its rhythm, of which several are seen. */
const SAMPLE_EVERY_MS = 2 * HOUR_MS
const KEPT_MS = 3 * DAY_MS
/** Less than a day, and fewer samples, say nothing about days to come. */
const LEAST_MS = DAY_MS
const LEAST_SAMPLES = 6

export const diskMemorySchema = z.object({
  totalBytes: z.number(),
  /** The oldest first; our clock, ISO 8601 UTC. */
  samples: z.array(z.object({ at: z.iso.datetime(), freeBytes: z.number() })),
})

/** How much was free in the last days. */
export type DiskMemory = z.infer<typeof diskMemorySchema>

export interface DiskSeen {
  readonly at: string
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface DiskForecast {
  /** Below zero while it empties. */
  readonly growthBytesPerDay: number
  /** Absent while it does not fill. */
  readonly daysLeft?: number | undefined
  /** How long it was watched. */
  readonly watchedMs: number
}

/** Of a disk that has another size now nothing is known. */
export function rememberDisk(memory: DiskMemory | undefined, { at, freeBytes, totalBytes }: DiskSeen): DiskMemory {
  const nowMs = Date.parse(at)
  const known = memory?.totalBytes === totalBytes ? memory.samples : []
  const samples = known.filter((sample) => nowMs - Date.parse(sample.at) <= KEPT_MS)
  const lastMs = Date.parse(samples.at(-1)?.at ?? '')
  // Between two samples the disk was seen as well, but a list that is written every minute must stay short.
  if (nowMs - lastMs < SAMPLE_EVERY_MS) return { totalBytes, samples }
  return { totalBytes, samples: [...samples, { at, freeBytes }] }
}

/**
 * The median of the growth between any two samples (the estimator of Theil and Sen), so that one large backup, or one large deletion,
 * is not taken for the way it goes on. Undefined: it was not watched for long enough.
 */
export function forecastDisk(memory: DiskMemory | undefined, seen: DiskSeen): DiskForecast | undefined {
  const before = memory?.totalBytes === seen.totalBytes ? memory.samples : []
  const points = [...before, seen].map(({ at, freeBytes }) => ({ ms: Date.parse(at), freeBytes }))
  const watchedMs = Date.parse(seen.at) - (points[0]?.ms ?? 0)
  if (watchedMs < LEAST_MS || points.length < LEAST_SAMPLES) return undefined
  const slopes = points.flatMap((from, index) =>
    points
      .slice(index + 1)
      .flatMap((to) => (to.ms > from.ms ? [(from.freeBytes - to.freeBytes) / (to.ms - from.ms)] : [])),
  )
  slopes.sort((left, right) => left - right)
  const growthBytesPerDay = (slopes[Math.floor((slopes.length - 1) / 2)] ?? 0) * DAY_MS
  const daysLeft = growthBytesPerDay > 0 ? seen.freeBytes / growthBytesPerDay : undefined
  return { growthBytesPerDay, watchedMs, ...(daysLeft === undefined ? {} : { daysLeft }) }
}
