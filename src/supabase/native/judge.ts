/**
 * Whether Supabase's own backups are as they should be. Pure. They are a second net: what fails here never endangers what Retake
 * holds, and what is good here never stands in for it.
 */
import type { NativeState } from './state.ts'

export interface NativeJudgement {
  readonly state: 'passed' | 'failed' | 'unknown'
  readonly finding: string
  readonly fix?: string | undefined
}

/** A daily backup that is older is late: a day, and an hour of grace. */
export const NATIVE_MAX_AGE_MS = 25 * 3_600_000

const SUPPORT = 'Look at the backups of the project in the dashboard of Supabase; ask its support.'
const RESUME = 'Resume the project in the dashboard of Supabase.'

export function judgeNative(state: NativeState): NativeJudgement {
  return judgeProject(state) ?? judgeBackups(state)
}

/** What the state of the project decides alone. */
function judgeProject({ projectStatus, project }: NativeState): NativeJudgement | undefined {
  switch (projectStatus) {
    case 'INACTIVE':
    case 'PAUSING':
    case 'PAUSE_FAILED': {
      const finding = `The project ${project} is paused (${projectStatus}): Supabase makes no backups of it meanwhile, and restores none.`
      return failed(finding, RESUME)
    }
    case 'RESTORING': {
      const finding = `The project ${project} is being restored by Supabase; what it holds afterwards is not known yet.`
      return { state: 'unknown', finding, fix: 'Look again when it has ended.' }
    }
    case 'RESTORE_FAILED':
      return failed(`The last restore of the project ${project} by Supabase failed.`, SUPPORT)
    default:
      return undefined
  }
}

function judgeBackups(state: NativeState): NativeJudgement {
  switch (state.mode) {
    case 'unknown': {
      const { reason = 'it was not asked.', fix = 'Look at https://status.supabase.com, then ask again.' } = state
      return { state: 'unknown', finding: `What Supabase holds is not known: ${reason}`, fix }
    }
    case 'none':
      // An empty list is also what a plan without access to backups shows.
      return failed(
        `Supabase lists no backups of the project ${state.project}: it is new, or its plan shows none.`,
        'Choose a plan with backups at Supabase, or rely on those of Retake alone and remove supabaseProject.',
      )
    case 'daily':
      return judgeDaily(state)
    case 'pitr':
      return judgePitr(state)
  }
}

function judgeDaily({ backups, window, ageMs, retentionDays }: NativeState): NativeJudgement {
  const newest = backups.find(({ rawStatus }) => rawStatus !== 'REMOVED' && rawStatus !== 'ARCHIVED')
  if (!window || ageMs === undefined) {
    return failed('Supabase lists backups, and none of them can be restored.', SUPPORT)
  }
  const hours = (ageMs / 3_600_000).toFixed(1)
  const limit = NATIVE_MAX_AGE_MS / 3_600_000
  if (ageMs > NATIVE_MAX_AGE_MS || Number.isNaN(ageMs)) {
    return failed(`The newest backup that Supabase can restore is ${hours} hours old, more than ${limit}.`, SUPPORT)
  }
  if (newest?.status === 'failed') {
    const finding = `The last backup of Supabase, of ${newest.at}, failed (${newest.rawStatus}). The one before it is ${hours} hours old.`
    return failed(finding, SUPPORT)
  }
  const kinds = new Set(backups.map(({ kind }) => kind))
  const download = kinds.has('physical') ? ' Physical ones cannot be downloaded.' : ''
  const finding = `Supabase holds ${countOf(backups.filter(({ status }) => status === 'success').length)}, one a day${keptFor(retentionDays)}; the newest is ${hours} hours old.${download}`
  return { state: 'passed', finding }
}

function judgePitr({ window, ageMs, lag, retentionDays }: NativeState): NativeJudgement {
  if (!window || ageMs === undefined) {
    const finding = 'Point-in-time recovery is on at Supabase, which names no moments yet.'
    return { state: 'unknown', finding, fix: 'Look again in a day; then ask the support of Supabase.' }
  }
  const behind = `The latest moment that Supabase can restore is ${window.latest}`
  switch (lag?.kind) {
    case 'failing':
      return failed(`${behind}: its archiving of WAL fails since ${lag.since}.`, SUPPORT)
    case 'waiting':
      return failed(`${behind}: ${lag.segments} segments of WAL wait to be archived.`, SUPPORT)
    case 'unknown':
      return {
        state: 'unknown',
        finding: `${behind}. Whether the database was idle since then is not known: ${lag.reason}`,
        fix: 'Give the token the permission to read the database (database:write covers its SQL), or look at pg_stat_archiver.',
      }
    case 'idle':
    case undefined: {
      const idle = lag ? '; everything that was written is archived, the database was idle since' : ''
      const finding = `Supabase can restore every second from ${window.earliest} to ${window.latest}${keptFor(retentionDays)}${idle}.`
      return { state: 'passed', finding }
    }
  }
}

const failed = (finding: string, fix: string): NativeJudgement => ({ state: 'failed', finding, fix })

const countOf = (count: number) => (count === 1 ? 'one backup' : `${count} backups`)

function keptFor(days: NativeState['retentionDays']): string {
  return days === 'unknown' ? '' : `, kept for ${days} days`
}
