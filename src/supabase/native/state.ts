/** What Supabase itself holds of a project at this moment, as data; beside it, what another would want to know of Retake's own backups. */
import type { Clock } from '../../base/clock.ts'
import type { ErrorCode } from '../../base/error-codes.ts'
import type { SupabaseManagement } from '../management/api.ts'
import {
  type ArchiverFacts,
  isIdleLag,
  type NativeBackupView,
  type NativeMode,
  type NativeView,
  restorableBackups,
} from '../management/native-backups.ts'
import type { Project } from '../management/shapes.ts'
import { type Answer, ProjectFacts, type UnknownAnswer } from '../report/project-facts.ts'
import type { RecoveryWindow } from '../report/types.ts'

/**
 * With point-in-time recovery an idle database makes no new moments. Up to this age nothing is asked about it: Supabase archives
 * what was written after two minutes at the latest, and an hour leaves room for its uploads.
 */
export const NATIVE_LAG_LIMIT_MS = 3_600_000

/** How the lag of the latest moment is explained; only where it is longer than {@link NATIVE_LAG_LIMIT_MS}. */
export type NativeLag =
  /** Everything that was written is archived. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'failing'; readonly since: string }
  | { readonly kind: 'waiting'; readonly segments: number }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface NativeState {
  /** The project's reference. */
  readonly project: string
  readonly name?: string | undefined
  /** ISO 8601 UTC, the clock of whoever asked. */
  readonly at: string
  /** As Supabase names it: `ACTIVE_HEALTHY`, `INACTIVE` (paused), …; `unknown` when it could not be asked. */
  readonly projectStatus: string
  /** `unknown`: what Supabase holds could not be asked, for this `reason`. Then the lists are empty and say nothing. */
  readonly mode: NativeMode | 'unknown'
  readonly reason?: string | undefined
  /** What stopped the question, where an error did. */
  readonly code?: ErrorCode | undefined
  readonly fix?: string | undefined
  /** Newest first. Always empty with point-in-time recovery: Supabase lists none then. */
  readonly backups: readonly NativeBackupView[]
  /** What Supabase can restore. `second`: every moment between the two; `day`: only those of the backups in between. */
  readonly window?: Pick<RecoveryWindow, 'granularity' | 'earliest' | 'latest'> | undefined
  /** From the newest moment that can be restored until now; 0 while the database is idle and everything is archived. */
  readonly ageMs?: number | undefined
  readonly lag?: NativeLag | undefined
  /** By the plan, or by the add-on of point-in-time recovery. */
  readonly retentionDays: number | 'unknown'
  readonly retentionReason?: string | undefined
}

export interface NativeAnswers {
  readonly project: Answer<Project>
  readonly backups: Answer<NativeView>
  readonly retention: Answer<number>
  /** Absent when it was not asked. */
  readonly archiver?: Answer<ArchiverFacts> | undefined
}

export interface ReadNativeOptions {
  readonly ref: string
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks for everything that is known of a project's own backups. What cannot be asked is unknown with its reason.
 * @throws RetakeError `aborted`
 */
export async function readNativeState(
  api: SupabaseManagement,
  { ref, clock, signal }: ReadNativeOptions,
): Promise<NativeState> {
  const facts = new ProjectFacts({ projectId: ref, management: api, signal })
  const [project, backups, retention] = await Promise.all([facts.project(), facts.backups(), facts.retention()])
  const latest = 'value' in backups ? backups.value.window?.latest : undefined
  const isLagging = latest !== undefined && ageOf(latest, clock.now()) > NATIVE_LAG_LIMIT_MS
  const archiver = isLagging ? await facts.archiver() : undefined
  return viewNativeState({ project, backups, retention, archiver }, { ref, now: clock.now() })
}

/** Pure. */
export function viewNativeState(
  { project, backups, retention, archiver }: NativeAnswers,
  { ref, now }: { readonly ref: string; readonly now: Date },
): NativeState {
  const known = 'value' in backups ? backups.value : undefined
  const window = known && windowOf(known)
  const ageMs = window && ageOf(window.latest, now)
  const lag =
    known?.mode === 'pitr' && ageMs !== undefined && ageMs > NATIVE_LAG_LIMIT_MS ? explainLag(archiver) : undefined
  return {
    project: ref,
    ...('value' in project ? { name: project.value.name } : {}),
    at: now.toISOString(),
    projectStatus: 'value' in project ? project.value.status : 'unknown',
    mode: known?.mode ?? 'unknown',
    ...('unknown' in backups ? reasonOf(backups) : {}),
    backups: known?.backups ?? [],
    ...(window ? { window } : {}),
    ...(ageMs === undefined ? {} : { ageMs: lag?.kind === 'idle' ? 0 : ageMs }),
    ...(lag ? { lag } : {}),
    retentionDays: 'value' in retention ? retention.value : 'unknown',
    ...('unknown' in retention ? { retentionReason: retention.unknown } : {}),
  }
}

/** Of a project of which nobody could be asked. */
export function unknownNativeState(why: UnknownAnswer, subject: { readonly ref: string; readonly now: Date }) {
  return viewNativeState({ project: why, backups: why, retention: why }, subject)
}

function reasonOf({ unknown, code, fix }: UnknownAnswer) {
  return { reason: unknown, ...(code === undefined ? {} : { code }), ...(fix === undefined ? {} : { fix }) }
}

function windowOf(view: NativeView): NativeState['window'] {
  if (view.mode === 'pitr') return view.window && { granularity: 'second', ...view.window }
  const restorable = restorableBackups(view)
  const [latest] = restorable
  const earliest = restorable.at(-1)
  return latest && earliest && { granularity: 'day', earliest: earliest.at, latest: latest.at }
}

function ageOf(instant: string, now: Date): number {
  return Math.max(0, now.getTime() - Date.parse(instant))
}

function explainLag(archiver: Answer<ArchiverFacts> | undefined): NativeLag {
  if (!archiver) return { kind: 'unknown', reason: 'The archiver was not asked.' }
  if ('unknown' in archiver) return { kind: 'unknown', reason: archiver.unknown }
  const { lastArchivedAt, lastFailedAt, waitingSegments } = archiver.value
  if (lastFailedAt !== undefined && (lastArchivedAt === undefined || lastFailedAt > lastArchivedAt)) {
    return { kind: 'failing', since: lastFailedAt }
  }
  if (isIdleLag(archiver.value)) return { kind: 'idle' }
  if (waitingSegments !== undefined && waitingSegments > 0) return { kind: 'waiting', segments: waitingSegments }
  return { kind: 'unknown', reason: 'The counters of the archiver do not tell how far it is.' }
}
