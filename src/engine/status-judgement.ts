/** What the state of a cluster means for recovery. Pure, with the time passed in. */
import { parseLsn } from '../postgres/lsn.ts'
import { judgeNative } from '../supabase/native/judge.ts'
import type { NativeState } from '../supabase/native/state.ts'
import { DEFAULT_BACKUP_MAX_AGE_HOURS, DEFAULT_RPO_TARGET_SECONDS } from './config-options.ts'
import type { MirrorsReport } from './mirrors/copies.ts'
import type { DamageView, GapView, WindowView } from './window.ts'

/** Machines branch on the code; it stays the same. */
export interface Reason {
  readonly code:
    | 'backup.none'
    | 'backup.old'
    | 'backup.damaged'
    | 'window.none'
    | 'server.unreachable'
    | 'slot.missing'
    | 'slot.lost'
    | 'slot.unreserved'
    | 'receiver.none'
    | 'wal.spooled'
    | 'rpo.exceeded'
    | 'wal.gap'
    | 'wal.damaged'
    | 'mirror.behind'
    | 'mirror.unreachable'
    | 'mirror.unknown'
    | 'native.failed'
    | 'native.unknown'
  readonly severity: 'danger' | 'warning'
  readonly message: string
  readonly fix: string
}

export interface RpoView {
  /** `caught-up`: everything the server has is held. `behind`: `behindBytes` are not. `unknown`: the server could not be asked. */
  readonly state: 'caught-up' | 'behind' | 'unknown'
  readonly behindBytes?: number | undefined
  /** Upper bound of what would be lost, in time: since when the archive has not been known to hold everything. */
  readonly behindMs?: number | undefined
  readonly explanation: string
}

export interface RpoFacts {
  readonly server:
    | { readonly timeline: number | undefined; readonly flushLsn: string; readonly now: string }
    | undefined
  readonly position:
    | { readonly timeline: number; readonly flushLsn: string; readonly caughtUpAt?: string | undefined }
    | undefined
}

/** How much would be lost if the server vanished now. */
export function judgeRpo({ server, position }: RpoFacts): RpoView {
  if (!server) {
    const until = position?.caughtUpAt ? ` Everything until ${position.caughtUpAt} is held.` : ''
    return { state: 'unknown', explanation: `The server could not be asked.${until}` }
  }
  if (!position) return { state: 'behind', explanation: 'No WAL has been received yet.' }
  const behindMs =
    position.caughtUpAt === undefined
      ? undefined
      : Math.max(0, Date.parse(server.now) - Date.parse(position.caughtUpAt))
  if (server.timeline !== undefined && server.timeline !== position.timeline) {
    return {
      state: 'behind',
      behindMs,
      explanation: `The server is on timeline ${server.timeline}; WAL is held up to ${position.flushLsn} of timeline ${position.timeline}.`,
    }
  }
  const behindBytes = Number(parseLsn(server.flushLsn) - parseLsn(position.flushLsn))
  if (behindBytes <= 0) {
    return {
      state: 'caught-up',
      behindBytes: 0,
      behindMs: 0,
      explanation: 'Everything the server has written is held.',
    }
  }
  return {
    state: 'behind',
    behindBytes,
    behindMs,
    explanation: `The server is at ${server.flushLsn}, the archive at ${position.flushLsn}.`,
  }
}

export interface StatusFacts {
  readonly lastBackup?:
    | { readonly backupId: string; readonly ageMs: number; readonly startLsn: string; readonly timeline: number }
    | undefined
  readonly damagedBackups: readonly string[]
  readonly windows: readonly WindowView[]
  readonly rpo: RpoView
  readonly receiver: object | undefined
  readonly archive?:
    | {
        readonly timeline: number
        readonly flushLsn: string
        readonly spool?: { readonly host: string; readonly acknowledgedLsn: string } | undefined
      }
    | undefined
  readonly server: object | undefined
  readonly serverError?: { readonly message: string } | undefined
  readonly slot:
    | { readonly name: string; readonly exists: boolean; readonly walStatus?: string | undefined }
    | undefined
  readonly gaps: readonly GapView[]
  readonly damage: readonly DamageView[]
  readonly mirrors?: MirrorsReport | undefined
  readonly native?: NativeState | undefined
  readonly backupMaxAgeHours?: number | undefined
  readonly rpoTargetSeconds?: number | undefined
}

/** The reasons to worry, the worst first. */
export function judgeStatus(facts: StatusFacts): Reason[] {
  const reasons = [judgeBackups, judgeServer, judgeWal, judgeSpool, judgeMirrors, judgeSupabase].flatMap((judge) =>
    judge(facts),
  )
  return [
    ...reasons.filter(({ severity }) => severity === 'danger'),
    ...reasons.filter(({ severity }) => severity === 'warning'),
  ]
}

/** Never a danger: what Retake holds is restored without Supabase. */
function judgeSupabase({ native }: StatusFacts): Reason[] {
  if (!native) return []
  const { state, finding, fix = 'retake health' } = judgeNative(native)
  return state === 'passed' ? [] : [warn(`native.${state}`, finding, fix)]
}

function judgeMirrors({ mirrors }: StatusFacts): Reason[] {
  if (!mirrors) return []
  const reasons = mirrors.copies.flatMap(({ name, url, state, lag }): Reason[] => {
    if (state === 'current' || (state === 'following' && (lag?.missingObjects ?? 0) === 0)) return []
    if (state === 'unreachable' || state === 'empty' || state === 'foreign') {
      const what = { unreachable: 'cannot be reached', empty: 'has no repository', foreign: 'holds another repository' }
      return [warn('mirror.unreachable', `The copy "${name}" (${url}) ${what[state]}.`, 'retake repo mirrors')]
    }
    const lack = lag ? `lacks ${lag.missingObjects} objects` : 'is behind'
    return [warn('mirror.behind', `The copy "${name}" ${lack}.`, 'retake repo sync')]
  })
  if (mirrors.unknown.length === 0) return reasons
  const names = mirrors.unknown.join(', ')
  return [
    ...reasons,
    danger(
      'mirror.unknown',
      `A copy is not configured here, so nothing can be written: ${names}.`,
      'add it to mirrors, or: retake repo mirrors --forget NAME',
    ),
  ]
}

function judgeBackups({ lastBackup, damagedBackups, windows, backupMaxAgeHours }: StatusFacts): Reason[] {
  const reasons: Reason[] = damagedBackups.map((backupId) =>
    danger('backup.damaged', `The backup ${backupId} cannot be read.`, 'retake verify --deep'),
  )
  if (!lastBackup)
    return [...reasons, danger('backup.none', 'There is no backup, so nothing can be restored.', 'retake backup')]
  if (windows.length === 0) {
    reasons.push(
      danger(
        'window.none',
        `No moment can be restored: the WAL that makes the backup ${lastBackup.backupId} consistent is not held.`,
        'retake wal receive --until-caught-up; if that does not help: retake backup',
      ),
    )
  }
  const hours = lastBackup.ageMs / 3_600_000
  const limit = backupMaxAgeHours ?? DEFAULT_BACKUP_MAX_AGE_HOURS
  if (hours > limit) {
    reasons.push(
      danger('backup.old', `The last backup is ${hours.toFixed(1)} hours old, more than ${limit}.`, 'retake backup'),
    )
  }
  return reasons
}

function judgeServer({ server, serverError, slot }: StatusFacts): Reason[] {
  if (!server) {
    const why = serverError ? ` ${serverError.message}` : ''
    return [
      danger(
        'server.unreachable',
        `The server could not be asked, so what it has beyond the archive is unknown.${why}`,
        'retake doctor',
      ),
    ]
  }
  if (!slot) return []
  if (!slot.exists)
    return [
      danger('slot.missing', `There is no slot "${slot.name}": nothing keeps WAL for us on the server.`, 'retake init'),
    ]
  if (slot.walStatus === 'lost') {
    return [
      danger(
        'slot.lost',
        `The slot "${slot.name}" is lost: moments until the next backup cannot be recovered.`,
        `SELECT pg_drop_replication_slot('${slot.name}'); -- then: retake init && retake backup`,
      ),
    ]
  }
  if (slot.walStatus === 'unreserved') {
    return [
      danger(
        'slot.unreserved',
        `The slot "${slot.name}" is about to be lost.`,
        'retake wal receive --until-caught-up   # now',
      ),
    ]
  }
  return []
}

/** While a receiver runs, its spool is on its way. */
function judgeSpool({ archive, receiver }: StatusFacts): Reason[] {
  const { spool } = archive ?? {}
  if (receiver || !archive || !spool || parseLsn(spool.acknowledgedLsn) <= parseLsn(archive.flushLsn)) return []
  return [
    danger(
      'wal.spooled',
      `WAL up to ${spool.acknowledgedLsn} of timeline ${archive.timeline} was acknowledged into the spool on ${spool.host}; the repository holds it up to ${archive.flushLsn}.`,
      `on ${spool.host}: retake wal receive --acknowledge local --spool DIR`,
    ),
  ]
}

function judgeWal({ rpo, rpoTargetSeconds, receiver, gaps, damage, lastBackup }: StatusFacts): Reason[] {
  const reasons = damage.map(({ message }) => danger('wal.damaged', message, 'retake verify --deep'))
  const target = rpoTargetSeconds ?? DEFAULT_RPO_TARGET_SECONDS
  const exceeded = rpo.state === 'behind' && (rpo.behindMs === undefined || rpo.behindMs > target * 1000)
  if (exceeded) {
    const since =
      rpo.behindMs === undefined
        ? ''
        : ` Up to ${Math.ceil(rpo.behindMs / 1000)} s of transactions would be lost now; the target is ${target} s.`
    reasons.push(danger('rpo.exceeded', `${rpo.explanation}${since}`, 'retake wal receive'))
  }
  if (!receiver) reasons.push(warn('receiver.none', 'No receiver is running.', 'retake wal receive   # as a service'))
  for (const gap of gaps) {
    if (gap.givenUp) continue
    // A recorded gap before the last backup is history: it costs moments of the past and endangers no later one.
    const past = lastBackup && gap.recorded && parseLsn(gap.endLsn) <= parseLsn(lastBackup.startLsn)
    const message = `WAL ${gap.beginLsn} to ${gap.endLsn} of timeline ${gap.timeline} is missing. ${gap.explanation}`
    reasons.push(past ? warn('wal.gap', message, 'retake window') : danger('wal.gap', message, 'retake backup'))
  }
  return reasons
}

const danger = (code: Reason['code'], message: string, fix: string): Reason => ({
  code,
  severity: 'danger',
  message,
  fix,
})
const warn = (code: Reason['code'], message: string, fix: string): Reason => ({
  code,
  severity: 'warning',
  message,
  fix,
})
