/** What can be recovered at this moment, and what of it. */
import { upTo } from './factors.ts'
import { type Judged, nothing, notKnown, type ScoreRule } from './rule.ts'

const exposure: ScoreRule = {
  name: 'exposure',
  title: 'loss if the server vanished now',
  weight: 10,
  judge: ({ measured, why }) => {
    const found = measured('exposure')
    if (!found) return notKnown(why('exposure'))
    return { factor: found.exposureMs === undefined ? 0 : upTo(found.exposureMs, found.targetMs), ...why('exposure') }
  },
}

const recency: ScoreRule = {
  name: 'recency',
  title: 'age of the last backup',
  weight: 8,
  judge: ({ measured, why }) => {
    const found = measured('backup')
    if (!found) return notKnown(why('backup'))
    return {
      factor: found.ageMs === undefined || found.usable === 0 ? 0 : upTo(found.ageMs, found.maxAgeMs),
      ...why('backup'),
    }
  },
}

/** A window, nothing missing in it, and a server that keeps what we have not fetched yet. */
const pitrAvailability: ScoreRule = {
  name: 'pitr-availability',
  title: 'point-in-time recovery is available',
  weight: 7,
  judge: ({ get, measured, why }) => {
    const wal = measured('wal')
    if (!wal) return notKnown(why('wal'))
    if (get('wal')?.state !== 'passed' || wal.windows === 0) return nothing(why('wal'))
    const slot = measured('slot')
    if (!slot) return notKnown(why('slot'))
    const result = get('slot')
    if (result?.state !== 'passed') return { factor: result?.severity === 'warning' ? 0.5 : 0, ...why('slot') }
    // Without a repository that says so, a connected receiver is proof enough.
    const isReceiving = slot.active || slot.receiver === true
    if (isReceiving) return { factor: 1, ...why('slot') }
    return {
      factor: 0.5,
      reason: 'No receiver is running: moments from now on can be restored only when their WAL has been fetched.',
      fix: 'retake wal receive   # as a service',
    }
  },
}

export const freshnessItems: readonly ScoreRule[] = [exposure, recency, pitrAvailability]

const TIER_FACTORS = { high: 0, medium: 1 / 3, low: 2 / 3 } as const

const criticalTables: ScoreRule = {
  name: 'critical-tables',
  title: 'critical tables',
  weight: 3,
  judge: ({ measured, why }): Judged => {
    const found = measured('critical-tables')
    if (!found) return notKnown(why('critical-tables'))
    if (found.expectedBy === 'nobody') return notKnown(why('critical-tables'))
    const factors = found.missing.map(({ tier }) => TIER_FACTORS[tier])
    return { factor: Math.min(1, ...factors, found.shrunk.length > 0 ? 0.5 : 1), ...why('critical-tables') }
  },
}

const configurationFiles: ScoreRule = {
  name: 'configuration',
  title: 'configuration in the backup',
  weight: 2,
  judge: ({ measured, why }) => {
    const found = measured('configuration')
    if (!found) return notKnown(why('configuration'))
    return { factor: found.outside ? 0 : 1, ...why('configuration') }
  },
}

export const coverageItems: readonly ScoreRule[] = [criticalTables, configurationFiles]
