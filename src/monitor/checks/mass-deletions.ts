/** Whether the log tells of rows that were deleted by the mass, or of tables and databases that are gone, since the look before. */
import type { CriticalTable } from '../../engine/config-options.ts'
import type { RememberedIncident } from '../../journal/bookmark.ts'
import { watchLog } from '../../journal/watch.ts'
import { cineTrackCriticalTables } from './cinetrack-tables.ts'
import type { MassDeletion, Measurements } from './measurements.ts'
import { failed, type Outcome, passed, skipped, unknown } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

type Measured = Measurements['mass-deletions']

/** So old is what this check says, at most. */
const PATIENCE_MS = 5 * 60_000
/** What is not looked through by then waits for the next look. */
const READING_MS = 5_000

export const massDeletions: HealthCheck<'mass-deletions'> = {
  name: 'mass-deletions',
  title: 'No mass deletion in the log',
  patience: 3,
  run: async ({ retake, holdings, earlier, settings }, signal) => {
    const { clock, config } = settings
    const cluster = await (await retake()).retake.cluster()
    const { archive, backups } = await holdings()
    const begunMs = clock.monotonicMs()
    const watched = await watchLog(cluster, {
      ...{ held: archive, backups, signal },
      earlier: earlier?.journal,
      now: clock.now(),
      patienceMs: PATIENCE_MS,
      mayGoOn: () => clock.monotonicMs() - begunMs < READING_MS,
    })
    if (!watched)
      return unknown('No WAL is held, so what happened to the tables is not known.', { fix: 'retake wal receive' })
    const { bookmark, behindBytes, isPatient } = watched
    const critical = config.criticalTables ?? cineTrackCriticalTables
    return judgeMassDeletions({
      isFirst: earlier?.journal === undefined,
      isBehind: behindBytes > 0 && !isPatient,
      measured: {
        toLsn: bookmark.lsn,
        behindBytes,
        bookmark,
        incidents: bookmark.incidents.map((one) => withTier(one, critical)),
      },
    })
  },
}

export interface MassDeletionFacts {
  readonly measured: Measured
  readonly isFirst: boolean
  /** There was no time to look through all of it. */
  readonly isBehind: boolean
}

export function judgeMassDeletions({ measured, isFirst, isBehind }: MassDeletionFacts): Outcome<Measured> {
  const { toLsn, behindBytes, incidents } = measured
  const newest = incidents.at(-1)
  if (newest) {
    const finding = incidents.map(incidentInWords).join(' ')
    return failed(finding, { severity: 'warning', fix: incidentFix(newest), measured })
  }
  if (isFirst) {
    return skipped(`The log is watched from ${toLsn} on. What was before is found by \`retake find\`.`, { measured })
  }
  if (isBehind) {
    return unknown(
      `${Math.ceil(behindBytes / 1024 ** 2)} MiB of the log are not looked through yet, from ${toLsn} on.`,
      {
        fix: 'retake find   # looks through all of it; this check goes on with its next look',
        measured,
      },
    )
  }
  return passed(`The log up to ${toLsn} tells of no mass deletion, and of no table that is gone.`, measured)
}

export function incidentInWords({ what, at }: MassDeletion): string {
  return `${what}${at === undefined ? '' : ` at ${at}`}.`
}

/** Brings it back: the table alone where it is one. */
export function incidentFix({ kind, tables, before }: MassDeletion): string {
  const [table, ...others] = tables
  if (table === undefined || kind === 'drop-database' || others.length > 3) {
    return `retake restore plan --at ${before} --to DIR   # everything that was committed before it`
  }
  const named = tables.join(' ')
  return kind === 'mass-delete'
    ? `retake restore merge ${named} --at ${before}   # shows what it would bring back`
    : `retake restore table ${named} --at ${before}   # as it was just before`
}

function withTier(incident: RememberedIncident, critical: readonly CriticalTable[]): MassDeletion {
  const tiers = critical.filter(({ table }) => incident.tables.includes(table)).map(({ tier }) => tier)
  const tier = (['high', 'medium', 'low'] as const).find((one) => tiers.includes(one))
  return tier === undefined ? incident : { ...incident, tier }
}
