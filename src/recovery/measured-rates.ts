/** How fast recoveries of this cluster are, as its drills have shown; where none has, by rates of a small machine. */
import type { ClusterRepository } from '../repository/cluster.ts'
import { type DrillRecord, listDrills } from '../repository/drills.ts'
import { DEFAULT_RATES, FIXED_MS, type RestoreRates } from './predict.ts'

/** The newest count: machines and clusters change. */
const DRILLS_LOOKED_AT = 3
/** Less says more about the start of programs than about their speed. */
const LEAST_BYTES = 64e6

export interface MeasuredRates {
  readonly rates: RestoreRates
  /** How many drills tell of it; 0: the rates are assumed. */
  readonly drills: number
}

/** Damaged records are passed over: a guess may be worse for it, and nothing else. */
export async function readMeasuredRates(cluster: ClusterRepository): Promise<MeasuredRates> {
  const drills = await Array.fromAsync(listDrills(cluster, { limit: DRILLS_LOOKED_AT, onDamage: () => {} }))
  return ratesOfDrills(drills)
}

export function ratesOfDrills(drills: readonly Pick<DrillRecord, 'size' | 'phases'>[]): MeasuredRates {
  const files = rateOf(drills, { phase: 'files', bytesOf: ({ bytes }) => bytes, fixedMs: 0 })
  const replay = rateOf(drills, { phase: 'recovery', bytesOf: ({ walBytes }) => walBytes, fixedMs: FIXED_MS })
  return {
    rates: {
      ...DEFAULT_RATES,
      ...(files ? { restoreBytesPerSecond: files.bytesPerSecond } : {}),
      ...(replay ? { replayBytesPerSecond: replay.bytesPerSecond } : {}),
    },
    drills: Math.max(files?.drills ?? 0, replay?.drills ?? 0),
  }
}

interface Part {
  readonly phase: string
  readonly bytesOf: (size: NonNullable<DrillRecord['size']>) => number
  /** What the phase takes whatever its bytes are. */
  readonly fixedMs: number
}

function rateOf(
  drills: readonly Pick<DrillRecord, 'size' | 'phases'>[],
  { phase, bytesOf, fixedMs }: Part,
): { readonly bytesPerSecond: number; readonly drills: number } | undefined {
  let [bytes, ms, count] = [0, 0, 0]
  for (const { size, phases } of drills) {
    const took = phases.find(({ name }) => name === phase)?.durationMs
    const own = size && bytesOf(size)
    if (own === undefined || own < LEAST_BYTES || took === undefined || took <= fixedMs) continue
    bytes += own
    ms += took - fixedMs
    count += 1
  }
  return count === 0 ? undefined : { bytesPerSecond: (bytes / ms) * 1000, drills: count }
}
