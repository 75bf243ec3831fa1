/** How long ago it was shown that what is stored is sound and brings the cluster back: verification and drills. */
import { type LastVerification, readLastVerification } from '../../repository/last-verification.ts'
import { readVerified, type VerifiedRecord } from '../../repository/verified.ts'
import type { DrillRecord } from '../health/input.ts'
import { DRILL_INTERVAL_MS } from '../health/limits.ts'
import type { Measurements } from './measurements.ts'
import { failed, type Outcome, passed, skipped } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

const DAY_MS = 86_400_000
export const DEFAULT_VERIFY_MAX_AGE_DAYS = 7

export const verification: HealthCheck<'verification'> = {
  name: 'verification',
  title: 'Stored bytes were verified',
  patience: 3,
  run: async (sources) => {
    const { clock, config } = sources.settings
    const { retake } = await sources.retake()
    const lastBackupId = (await sources.holdings()).backups.at(-1)?.backupId
    // A note that cannot be read is as good as none.
    const cluster = await retake.cluster()
    const records = await readVerified(cluster, { onDamage: () => {} })
    const found = await readLastVerification(cluster)
    const maxAgeMs = (config.verifyMaxAgeDays ?? DEFAULT_VERIFY_MAX_AGE_DAYS) * DAY_MS
    return judgeVerification({ records, found, lastBackupId, maxAgeMs, now: clock.now() })
  },
}

export function judgeVerification(facts: {
  readonly records: readonly VerifiedRecord[]
  readonly found?: LastVerification | undefined
  readonly lastBackupId: string | undefined
  readonly maxAgeMs: number
  readonly now: Date
}): Outcome<Measurements['verification']> {
  const { records, found, lastBackupId, maxAgeMs, now } = facts
  if (lastBackupId === undefined) return skipped('There is no backup to verify.', { fix: 'retake backup' })
  const newest = (list: readonly VerifiedRecord[]) =>
    list
      .map(({ at }) => at)
      .sort()
      .at(-1)
  const ageOf = (at: string) => Math.max(0, now.getTime() - Date.parse(at))
  const lastAt = newest(records)
  const lastDeepAt = newest(records.filter(({ depth }) => depth === 'deep'))
  const measured: Measurements['verification'] = {
    maxAgeMs,
    verifiedBackups: records.length,
    lastBackupVerified: records.some(({ backupId }) => backupId === lastBackupId),
    ...(lastAt === undefined ? {} : { lastAt, ageMs: ageOf(lastAt) }),
    ...(lastDeepAt === undefined ? {} : { lastDeepAt, deepAgeMs: ageOf(lastDeepAt) }),
    ...(found && found.errors > 0 ? { damage: damageOf(found) } : {}),
  }
  if (found && measured.damage) {
    return failed(damageSentence(found), { severity: 'danger', fix: 'retake verify --deep', measured })
  }
  const bad = (finding: string) =>
    failed(finding, { severity: 'warning' as const, fix: 'retake verify --deep', measured })
  if (lastAt === undefined || measured.ageMs === undefined)
    return bad('No backup that is held has passed a verification.')
  const days = (measured.ageMs / DAY_MS).toFixed(1)
  if (measured.ageMs > maxAgeMs)
    return bad(`The last verification is ${days} days old, more than ${maxAgeMs / DAY_MS}.`)
  return passed(`The last verification is ${days} days old${lastDeepAt === lastAt ? ', of every byte' : ''}.`, measured)
}

const damageOf = ({ at, errors, lostBackups }: LastVerification) => ({ at, errors, lostBackups })

function damageSentence({ at, errors, lostBackups, example }: LastVerification): string {
  const many = errors === 1 ? 'damage' : `damage in ${errors} places`
  const [backup] = lostBackups
  const more = lostBackups.length > 1 ? ` and ${lostBackups.length - 1} more` : ''
  const cost = backup === undefined ? 'no backup is lost by it' : `${backup}${more} cannot be restored completely`
  return `The verification of ${at} found ${many}: ${cost}. ${example ?? ''}`.trimEnd()
}

/** Drills are told by whoever makes them. */
export function drillCheck(record: DrillRecord | undefined): HealthCheck<'drill'> {
  return {
    name: 'drill',
    title: 'Recovery was rehearsed',
    run: async (sources) => judgeDrill(record, sources.settings.clock.now()),
  }
}

/** What to do while nothing rehearses recoveries by itself. */
export const REHEARSE =
  'retake restore apply --at latest --to DIR   # rehearses it by hand; only a drill that is recorded changes the score'

export function judgeDrill(record: DrillRecord | undefined, now: Date): Outcome<Measurements['drill']> {
  if (!record) {
    return skipped('No drill is recorded: this version of Retake makes none by itself, so none is judged.', {
      fix: REHEARSE,
    })
  }
  const { lastAt, lastOutcome, passed: good } = record
  const ageMs = good && Math.max(0, now.getTime() - Date.parse(good.at))
  const measured: Measurements['drill'] = {
    lastAt,
    lastOutcome,
    intervalMs: DRILL_INTERVAL_MS,
    ...(good ? { passedAt: good.at, depth: good.depth, rtoMs: good.rtoMs } : {}),
    ...(ageMs === undefined ? {} : { ageMs }),
  }
  if (lastOutcome === 'failed') {
    return failed(`The last drill, of ${lastAt}, failed.`, { severity: 'danger', fix: REHEARSE, measured })
  }
  if (ageMs === undefined || ageMs > DRILL_INTERVAL_MS) {
    const finding = `The last drill that passed is ${ageMs === undefined ? 'not known' : `${(ageMs / DAY_MS).toFixed(0)} days old`}.`
    return failed(finding, { severity: 'warning', fix: REHEARSE, measured })
  }
  return passed(`The last drill passed ${(ageMs / DAY_MS).toFixed(0)} days ago.`, measured)
}
