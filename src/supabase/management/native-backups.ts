/** What Supabase's own backups amount to. Pure. The traps of the API are named where they are met. */
import type { Addons, Entitlements, NativeBackups } from './shapes.ts'

const DAY_MS = 86_400_000

/** `pitr`: a base a day and WAL in between. `daily`: one backup a day. `none`: none is listed (a new project, or the free plan, which shows none). */
export type NativeMode = 'pitr' | 'daily' | 'none'

export interface NativeBackupView {
  readonly id: number
  /** ISO 8601 UTC. */
  readonly at: string
  readonly kind: 'physical' | 'logical' | 'unknown'
  readonly status: 'success' | 'failed' | 'in_progress' | 'unknown'
  /** As Supabase says it; `REMOVED` and `ARCHIVED` are past their retention. */
  readonly rawStatus: string
}

export interface NativeView {
  readonly mode: NativeMode
  readonly region: string
  /** Newest first. Always empty with PITR: Supabase lists none then. */
  readonly backups: readonly NativeBackupView[]
  /** With PITR: the moments that Supabase can restore. */
  readonly window?: { readonly earliest: string; readonly latest: string } | undefined
}

/** `walg_enabled` is not looked at: it is true for projects that have no point-in-time recovery. */
export function viewNativeBackups(answer: NativeBackups): NativeView {
  const { earliest_physical_backup_date_unix: earliest, latest_physical_backup_date_unix: latest } =
    answer.physical_backup_data
  const backups = answer.backups.map(viewBackup).sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.id - a.id))
  const window =
    answer.pitr_enabled && earliest !== undefined && latest !== undefined
      ? { earliest: isoOfUnix(earliest), latest: isoOfUnix(latest) }
      : undefined
  return {
    mode: answer.pitr_enabled ? 'pitr' : backups.length > 0 ? 'daily' : 'none',
    region: answer.region,
    backups,
    ...(window ? { window } : {}),
  }
}

function viewBackup({ id, is_physical_backup, status, inserted_at }: NativeBackups['backups'][number]) {
  const kind = is_physical_backup === undefined ? 'unknown' : is_physical_backup ? 'physical' : 'logical'
  return { id, at: isoOfText(inserted_at), kind, status: STATUS[status] ?? 'unknown', rawStatus: status } as const
}

const STATUS: Readonly<Record<string, NativeBackupView['status']>> = {
  COMPLETED: 'success',
  FAILED: 'failed',
  CANCELLED: 'failed',
  PENDING: 'in_progress',
}

/** Supabase's times carry no offset in places, and then mean UTC. What is no time at all stays as it came. */
function isoOfText(text: string): string {
  const ms = Date.parse(/(?:z|[+-]\d{2}:?\d{2})$/i.test(text) ? text : `${text.replace(' ', 'T')}Z`)
  return Number.isNaN(ms) ? text : new Date(ms).toISOString()
}

export function isoOfUnix(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

/** What can be restored right now, newest first; a `REMOVED` or `ARCHIVED` one cannot. */
export function restorableBackups(view: NativeView): readonly NativeBackupView[] {
  return view.backups.filter(({ status }) => status === 'success')
}

export interface DailyRecord {
  /** Days from the oldest backup listed to the last day whose backup is due. */
  readonly due: number
  readonly succeeded: number
  /** `YYYY-MM-DD` of days on which every attempt failed. */
  readonly failed: readonly string[]
  /** Days without any backup. */
  readonly missed: readonly string[]
}

/**
 * Scheduled days are counted, not attempts: a day whose second attempt succeeded has succeeded. A day is due when it is over,
 * or when it already has a result; so a backup that runs later in the day is not called missing.
 */
export function countDays(view: NativeView, now: Date): DailyRecord {
  const days = new Map<string, 'succeeded' | 'failed' | 'other'>()
  for (const { at, status, rawStatus } of view.backups) {
    const day = at.slice(0, 10)
    const good = status === 'success' || rawStatus === 'REMOVED' || rawStatus === 'ARCHIVED'
    const before = days.get(day)
    if (good) days.set(day, 'succeeded')
    else if (status === 'failed' && before !== 'succeeded') days.set(day, 'failed')
    else if (before === undefined) days.set(day, 'other')
  }
  const first = [...days.keys()].filter((day) => !Number.isNaN(Date.parse(day))).sort()[0]
  if (first === undefined) return { due: 0, succeeded: 0, failed: [], missed: [] }
  const failed: string[] = []
  const missed: string[] = []
  let succeeded = 0
  const today = now.toISOString().slice(0, 10)
  for (let ms = Date.parse(first); ms <= now.getTime(); ms += DAY_MS) {
    const day = new Date(ms).toISOString().slice(0, 10)
    const state = days.get(day)
    if (state === 'succeeded') succeeded++
    else if (state === 'failed') failed.push(day)
    else if (day < today && state === undefined) missed.push(day)
  }
  return { due: succeeded + failed.length + missed.length, succeeded, failed, missed }
}

/** Of the PITR add-on: the number in the variant that is selected (`pitr_7`). */
export function pitrRetentionDays(addons: Addons): number | undefined {
  const variant = addons.selected_addons.find(({ type }) => type === 'pitr')?.variant.id
  const days = /^pitr_(\d+)$/.exec(variant ?? '')?.[1]
  return days === undefined ? undefined : Number(days)
}

/** Of the plan. Unlimited does not occur for this one, and would be no number of days. */
export function planRetentionDays({ entitlements }: Entitlements): number | undefined {
  const found = entitlements.find(({ feature }) => feature.key === 'backup.retention_days')
  if (!found) return undefined
  return found.hasAccess ? found.config?.value : 0
}

/** How the archiving of WAL on the server stands, as `pg_stat_archiver` says it. */
export interface ArchiverFacts {
  readonly lastArchivedAt: string | undefined
  readonly lastFailedAt: string | undefined
  readonly archivedCount: number
  readonly failedCount: number
  /** Finished segments between the last archived one and the one that is being written; undefined when it cannot be told. */
  readonly waitingSegments: number | undefined
}

/**
 * Whether an old latest restore point only means that nothing was written: then the last thing the archiver did was to
 * succeed, and no finished segment waits. (A segment with changes in it is finished at the latest after `archive_timeout`.)
 */
export function isIdleLag({ lastArchivedAt, lastFailedAt, waitingSegments }: ArchiverFacts): boolean {
  if (lastArchivedAt === undefined || waitingSegments === undefined) return false
  return waitingSegments === 0 && !(lastFailedAt !== undefined && lastFailedAt > lastArchivedAt)
}

/**
 * Read by one statement. `waiting` is counted in segments from the names of the files, with the size that the server says.
 * A backup's label file is archived after the last segment it needs, so the segment in its name is certainly archived.
 */
export const ARCHIVER_SQL = `
select to_char(last_archived_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as last_archived_at,
       to_char(last_failed_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as last_failed_at,
       archived_count::float8 as archived_count, failed_count::float8 as failed_count,
       last_archived_wal,
       case when pg_catalog.pg_is_in_recovery() then null
            else pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) end as current_wal,
       (select setting::float8 from pg_catalog.pg_settings where name = 'wal_segment_size') as segment_size
from pg_catalog.pg_stat_archiver`

export function readArchiverRow(row: Readonly<Record<string, unknown>> | undefined): ArchiverFacts | undefined {
  if (row === undefined) return undefined
  const textOf = (name: string) => (typeof row[name] === 'string' ? row[name] : undefined)
  const archived = segmentNumber(textOf('last_archived_wal'), Number(row.segment_size))
  const current = segmentNumber(textOf('current_wal'), Number(row.segment_size))
  const sameLine = textOf('last_archived_wal')?.slice(0, 8) === textOf('current_wal')?.slice(0, 8)
  return {
    lastArchivedAt: textOf('last_archived_at'),
    lastFailedAt: textOf('last_failed_at'),
    archivedCount: Number(row.archived_count ?? 0),
    failedCount: Number(row.failed_count ?? 0),
    waitingSegments:
      archived === undefined || current === undefined || !sameLine ? undefined : Math.max(0, current - archived - 1),
  }
}

function segmentNumber(file: string | undefined, segmentSize: number): number | undefined {
  if (file === undefined || !/^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?$/i.test(file)) return undefined
  if (!(segmentSize > 0)) return undefined
  const perLog = 0x1_0000_0000 / segmentSize
  return Number.parseInt(file.slice(8, 16), 16) * perLog + Number.parseInt(file.slice(16, 24), 16)
}
