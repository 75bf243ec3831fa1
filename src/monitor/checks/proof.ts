/** How long ago it was shown that what is stored is sound and brings the cluster back: verification and drills. */
import { type DrillRecord, listDrills } from '../../repository/drills.ts'
import { type LastVerification, readLastVerification } from '../../repository/last-verification.ts'
import { readVerified, type VerifiedRecord } from '../../repository/verified.ts'
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

/** Two years of one a month. */
const DRILLS_LOOKED_AT = 24
/** Restored, and looked into through SQL; a deep one reads more of the same. */
const DRILL_DEPTH = 3

export const drill: HealthCheck<'drill'> = {
  name: 'drill',
  title: 'Recovery was rehearsed',
  run: async (sources) => {
    const { retake } = await sources.retake()
    // One that cannot be read is as good as none; `retake verify` names it.
    const records = listDrills(await retake.cluster(), { limit: DRILLS_LOOKED_AT, onDamage: () => {} })
    return judgeDrills(await Array.fromAsync(records), sources.settings.clock.now())
  },
}

const REHEARSE = 'retake drill run'

/** @param records newest first */
export function judgeDrills(records: readonly DrillRecord[], now: Date): Outcome<Measurements['drill']> {
  const concluded = records.filter(({ outcome }) => outcome === 'passed' || outcome === 'failed')
  const [last] = concluded
  // Tried since, without coming to a result.
  const [newest] = records
  const tried = newest !== last ? newest : undefined
  const but = tried ? ` One of ${tried.endedAt} came to no result: ${tried.error?.message ?? tried.outcome}` : ''
  const fix = tried?.error?.hint ?? REHEARSE
  if (!last) return skipped(`No recovery was rehearsed yet.${but}`, { fix })
  const good = concluded.find(({ outcome }) => outcome === 'passed')
  const ageMs = good && Math.max(0, now.getTime() - Date.parse(good.endedAt))
  const measured: Measurements['drill'] = {
    lastAt: last.endedAt,
    lastOutcome: last.outcome === 'passed' ? 'passed' : 'failed',
    intervalMs: DRILL_INTERVAL_MS,
    counted: concluded.length,
    succeeded: concluded.filter(({ outcome }) => outcome === 'passed').length,
    ...(good ? { passedAt: good.endedAt, depth: DRILL_DEPTH } : {}),
    ...(good?.rtoMs === undefined ? {} : { rtoMs: good.rtoMs }),
    ...(good?.rpoMs === undefined ? {} : { rpoMs: good.rpoMs }),
    ...(ageMs === undefined ? {} : { ageMs }),
  }
  if (last.outcome === 'failed') {
    const finding = `The last drill, of ${last.endedAt}, failed: ${whyFailed(last)}`
    return failed(`${finding}${but}`, { severity: 'danger', fix: `retake drill show ${last.id}`, measured })
  }
  if (ageMs === undefined || ageMs > DRILL_INTERVAL_MS) {
    const finding = `The last drill that passed is ${ageMs === undefined ? 'not known' : `${daysOf(ageMs)} days old`}.${but}`
    return failed(finding, { severity: 'warning', fix, measured })
  }
  return passed(`The last drill passed ${daysOf(ageMs)} days ago.${but}`, measured)
}

const daysOf = (ms: number) => (ms / DAY_MS).toFixed(0)

function whyFailed({ checks, error }: DrillRecord): string {
  const failures = checks.filter(({ result }) => result === 'failed').map(({ title, detail }) => `${title}: ${detail}`)
  return failures.length > 0 ? failures.join(' ') : (error?.message ?? 'it does not say why.')
}
