/** What the answers say about backups: the last one, what can be restored, for how long. Pure, with the time passed in. */
import type { Measured } from '../health-score.ts'
import {
  type ArchiverFacts,
  countDays,
  isIdleLag,
  type NativeView,
  restorableBackups,
} from '../management/native-backups.ts'
import type { RetakeStatus } from '../retake-status.ts'
import type { Answer } from './project-facts.ts'
import type { LastBackup, PointInTimeReport, RecoveryWindow, Trace, Unknown } from './types.ts'

const HOUR_MS = 3_600_000
const BACKUPS = 'GET /v1/projects/{ref}/database/backups'

export interface BackupAnswers {
  readonly native: Answer<NativeView>
  readonly retake: Answer<RetakeStatus>
  /** Whether Retake's address was given: without one there is none of Retake's backups to count on. */
  readonly hasRetake: boolean
}

export interface Derived<T> {
  readonly value: T
  readonly trace: Trace
}

export const unknownTrace = (reason: string): Trace => ({ source: 'none', detail: 'nobody could be asked', reason })

/** The newest of both sides; `value` is undefined when it is known that there is none. */
export function deriveLastBackup(answers: BackupAnswers): Derived<LastBackup | undefined> {
  const { native, retake, hasRetake } = answers
  const ours = 'value' in retake ? lastOfRetake(retake.value) : undefined
  const theirs = 'value' in native ? lastOfNative(native.value) : undefined
  const unasked = [
    ...('unknown' in native ? [`Supabase's own backups are not known: ${native.unknown}`] : []),
    ...('unknown' in retake && hasRetake ? [`Retake's are not known: ${retake.unknown}`] : []),
  ]
  const reason = unasked.length > 0 ? { reason: unasked.join(' ') } : {}
  const newest = ours && theirs ? (ours.timestamp > theirs.timestamp ? ours : theirs) : (ours ?? theirs)
  if (newest?.by === 'retake') {
    return { value: newest, trace: { source: 'retake', detail: 'retake status --json: lastBackup', ...reason } }
  }
  if (newest) {
    const field = newest.type === 'point_in_time' ? 'physical_backup_data' : 'backups'
    return { value: newest, trace: { source: 'management-api', detail: `${BACKUPS}: ${field}`, ...reason } }
  }
  if (unasked.length === 0) {
    return { value: undefined, trace: { source: 'management-api', detail: `${BACKUPS}: backups is empty` } }
  }
  const error = unasked.join(' ')
  const value: LastBackup = { timestamp: 'unknown', status: 'unknown', type: 'unknown', by: 'unknown', error }
  return { value, trace: unknownTrace(error) }
}

function lastOfNative(view: NativeView): LastBackup | undefined {
  if (view.mode === 'pitr') {
    const status = view.window ? 'success' : 'unknown'
    return { timestamp: view.window?.latest ?? 'unknown', status, type: 'point_in_time', by: 'supabase' }
  }
  const newest = view.backups.find(({ rawStatus }) => rawStatus !== 'REMOVED' && rawStatus !== 'ARCHIVED')
  if (!newest) return undefined
  return {
    timestamp: newest.at,
    status: newest.status,
    type: 'automatic',
    by: 'supabase',
    ...(newest.status === 'failed' ? { error: `Supabase says ${newest.rawStatus}.` } : {}),
  }
}

function lastOfRetake({ lastBackup }: RetakeStatus): LastBackup | undefined {
  // Who ordered it, a timer or a person, is not in the status.
  return lastBackup && { timestamp: lastBackup.stoppedAt, status: 'success', type: 'unknown', by: 'retake' }
}

/** Every stretch of moments that can be restored. Unknown only when nobody could be asked. */
export function deriveWindows(answers: BackupAnswers): readonly RecoveryWindow[] | Unknown {
  const { native, retake } = answers
  if ('unknown' in native && 'unknown' in retake) return 'unknown'
  return [
    ...('value' in native ? nativeWindows(native.value) : []),
    ...('value' in retake ? retakeWindows(retake.value) : []),
  ]
}

function nativeWindows(view: NativeView): RecoveryWindow[] {
  if (view.window) return [{ by: 'supabase', granularity: 'second', ...view.window }]
  const restorable = restorableBackups(view)
  const [latest] = restorable
  const earliest = restorable.at(-1)
  if (!latest || !earliest) return []
  return [{ by: 'supabase', granularity: 'day', earliest: earliest.at, latest: latest.at }]
}

function retakeWindows({ windows }: RetakeStatus): RecoveryWindow[] {
  return windows.flatMap(({ from, to }) =>
    from.at === undefined || to.at === undefined
      ? []
      : [{ by: 'retake' as const, granularity: 'second' as const, earliest: from.at, latest: to.at }],
  )
}

export function derivePointInTime(answers: BackupAnswers): PointInTimeReport {
  const { native, retake, hasRetake } = answers
  const windows = deriveWindows(answers)
  const seconds = windows === 'unknown' ? [] : windows.filter(({ granularity }) => granularity === 'second')
  const theirs = 'value' in native && native.value.mode === 'pitr'
  const ours = 'value' in retake && retake.value.windows.length > 0
  const fromNative: Trace = { source: 'management-api', detail: `${BACKUPS}: pitr_enabled` }
  const fromRetake: Trace = { source: 'retake', detail: 'retake status --json: windows' }
  if (theirs || ours) {
    const by = theirs && ours ? 'both' : theirs ? 'supabase' : 'retake'
    return { enabled: true, by, windows: seconds, trace: theirs ? fromNative : fromRetake }
  }
  if ('value' in native && ('value' in retake || !hasRetake)) {
    return { enabled: false, windows: [], trace: fromNative }
  }
  const reason = 'unknown' in native ? native.unknown : 'unknown' in retake ? retake.unknown : ''
  return { enabled: 'unknown', windows: [], trace: unknownTrace(reason) }
}

export function deriveRestorable(answers: BackupAnswers): Measured<boolean> {
  const { native, retake, hasRetake } = answers
  const windows = deriveWindows(answers)
  if (windows !== 'unknown' && windows.length > 0) {
    return {
      value: true,
      explanation: `Moments up to ${windows
        .map(({ latest }) => latest)
        .sort()
        .at(-1)}.`,
    }
  }
  if ('unknown' in native) return { unknown: `Supabase's own backups are not known: ${native.unknown}` }
  if (native.value.mode === 'pitr')
    return { unknown: 'Point-in-time recovery is on, but Supabase names no moments yet.' }
  if ('unknown' in retake && hasRetake) return { unknown: `Retake's backups are not known: ${retake.unknown}` }
  return { value: false, explanation: 'no backup is listed.' }
}

/** Age of the newest moment that can be restored. An idle database makes no new moments: then the lag is no age. */
export function deriveAge(
  answers: BackupAnswers,
  facts: { readonly archiver: Answer<ArchiverFacts> | undefined; readonly now: Date },
): Measured<number> {
  const { native, retake } = answers
  const ages: { readonly hours: number; readonly why: string }[] = []
  if ('value' in native) {
    const { mode, window } = native.value
    const newest = mode === 'pitr' ? window?.latest : restorableBackups(native.value)[0]?.at
    const hours = newest === undefined ? Number.NaN : hoursSince(newest, facts.now)
    const { archiver } = facts
    if (mode === 'pitr' && archiver && 'value' in archiver && isIdleLag(archiver.value)) {
      ages.push({ hours: 0, why: 'All that was written is archived; the database was idle since.' })
    } else if (!Number.isNaN(hours)) {
      const what = mode === 'pitr' ? 'latest moment' : 'newest restorable backup'
      ages.push({ hours, why: `Supabase's ${what} is ${hours.toFixed(1)} hours old.` })
    }
  }
  if ('value' in retake) {
    const hours = hoursOfRetake(retake.value, facts.now)
    if (hours !== undefined) ages.push({ hours, why: `What Retake holds is ${hours.toFixed(1)} hours old.` })
  }
  const [youngest] = ages.sort((a, b) => a.hours - b.hours)
  if (youngest) return { value: youngest.hours, explanation: youngest.why }
  if ('unknown' in native) return { unknown: native.unknown }
  return native.value.mode === 'pitr'
    ? { unknown: 'Supabase names no moments yet.' }
    : { value: Number.MAX_SAFE_INTEGER, explanation: 'There is no backup that can be restored.' }
}

function hoursOfRetake({ windows, rpo, at }: RetakeStatus, now: Date): number | undefined {
  if (windows.length === 0) return undefined
  if (rpo.state === 'caught-up') return hoursSince(at, now)
  const latest = windows
    .flatMap(({ to }) => (to.at === undefined ? [] : [to.at]))
    .sort()
    .at(-1)
  return latest === undefined ? undefined : hoursSince(latest, now)
}

const hoursSince = (iso: string, now: Date) => Math.max(0, (now.getTime() - Date.parse(iso)) / HOUR_MS)

/** With point-in-time recovery Supabase lists no backups: then the archiver's own count is what succeeds or fails. */
export function deriveSuccess(
  native: Answer<NativeView>,
  facts: { readonly archiver: Answer<ArchiverFacts> | undefined; readonly now: Date },
): Measured<number> {
  if ('unknown' in native) return { unknown: native.unknown }
  if (native.value.mode === 'none') return { unknown: 'Supabase lists no backups to count.' }
  if (native.value.mode === 'daily') return successOfDays(native.value, facts.now)
  const { archiver } = facts
  if (!archiver) return { unknown: 'The archiver was not asked.' }
  if ('unknown' in archiver)
    return { unknown: `Supabase lists no backups with PITR, and the archiver: ${archiver.unknown}` }
  const { lastArchivedAt, lastFailedAt, archivedCount } = archiver.value
  if (lastArchivedAt === undefined) return { unknown: 'The archiver has archived nothing since its counters began.' }
  if (lastFailedAt !== undefined && lastFailedAt > lastArchivedAt) {
    return { value: 0, explanation: `Archiving of WAL fails since ${lastFailedAt}.` }
  }
  return { value: 1, explanation: `Archiving of WAL works: ${archivedCount} segments, the last at ${lastArchivedAt}.` }
}

function successOfDays(view: NativeView, now: Date): Measured<number> {
  const { due, succeeded, failed, missed } = countDays(view, now)
  if (due === 0) return { unknown: 'No scheduled backup has ended yet.' }
  const lost = [
    ...(failed.length > 0 ? [`failed on ${failed.join(', ')}`] : []),
    ...(missed.length > 0 ? [`missing on ${missed.join(', ')}`] : []),
  ]
  const explanation = `${succeeded} of ${due} daily backups succeeded${lost.length > 0 ? `; ${lost.join('; ')}` : ''}.`
  return { value: succeeded / due, explanation }
}
