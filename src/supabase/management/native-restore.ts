/**
 * A native point-in-time restore: plan, confirm, carry out, follow. Supabase restores **in place**: the project is down
 * meanwhile and there is no way back, so nothing is sent before every check passed and the project was named once more.
 */
import { sleep } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { formatInstant, parseInstant } from '../../base/instant.ts'
import { list, number, object, type Shaped, text } from '../shape.ts'
import { isProjectRef, type SupabaseManagement } from './api.ts'
import type { CallOptions } from './http.ts'
import { viewNativeBackups } from './native-backups.ts'

/** A plan is not carried out when it is older: the window has moved, and the person may have too. */
const PLAN_MAX_AGE_MS = 15 * 60_000

export interface NativeRestorePlan {
  readonly kind: 'supabase-pitr'
  readonly projectRef: string
  readonly projectName: string
  readonly organization: string
  /** ISO 8601 UTC; whole seconds, because Supabase takes no finer target: a fraction is cut off, never rounded up. */
  readonly target: string
  readonly targetUnix: number
  readonly window: { readonly earliest: string; readonly latest: string }
  readonly madeAt: string
  readonly warnings: readonly string[]
}

export interface NativeRestoreState {
  /** As Supabase names it; `unknown` when it could not be asked this time. */
  readonly status: string
  /** `not-seen`: the project stayed healthy all the time, so nothing shows that a restore has run. */
  readonly state: 'running' | 'done' | 'failed' | 'not-seen'
  readonly at: string
  /** Why the status is unknown. */
  readonly reason?: string | undefined
}

const planShape = object({
  kind: text,
  projectRef: text,
  projectName: text,
  organization: text,
  target: text,
  targetUnix: number,
  window: object({ earliest: text, latest: text }),
  madeAt: text,
  warnings: list(text),
})

/**
 * A plan that was written down, read again. Whether it still holds is checked when it is carried out.
 * @throws RetakeError `config.invalid`
 */
export function readNativePlan(value: unknown): NativeRestorePlan {
  const hint = 'Make one: retake native plan --at INSTANT --out plan.json'
  let plan: Shaped<typeof planShape>
  try {
    plan = planShape(value, 'the plan')
  } catch (error) {
    if (!isRetakeError(error, 'supabase.protocol')) throw error
    throw new RetakeError('config.invalid', `This is no plan of a native restore: ${error.message}`, { hint })
  }
  const { kind, projectRef, target, targetUnix, madeAt } = plan
  const isSound = kind === 'supabase-pitr' && isProjectRef(projectRef) && Date.parse(target) === targetUnix * 1000
  if (isSound && !Number.isNaN(Date.parse(madeAt))) return { ...plan, kind }
  throw new RetakeError('config.invalid', 'This is no plan of a native restore, or it was changed by hand.', { hint })
}

/**
 * Checks that Supabase could restore the project to this moment, and says what that means.
 * @param request `at`: an instant with its offset
 * @throws RetakeError `target.invalid`, `target.outside`, `restore.refused`, `supabase.*`
 */
export async function planNativeRestore(
  api: SupabaseManagement,
  request: CallOptions & { readonly ref: string; readonly at: string; readonly clock?: Clock | undefined },
): Promise<NativeRestorePlan> {
  const { ref, signal, clock = systemClock } = request
  const targetUnix = Number(parseInstant(request.at) / 1_000_000n)
  const [project, answer] = await Promise.all([api.project(ref, { signal }), api.backups(ref, { signal })])
  const { mode, window } = viewNativeBackups(answer)
  if (mode !== 'pitr') {
    throw new RetakeError('restore.refused', 'Point-in-time recovery is not enabled for this project.', {
      hint: 'A daily backup can be restored in the dashboard only.',
    })
  }
  if (!window) throw new RetakeError('target.outside', 'Supabase names no moments that it can restore yet.')
  const target = formatInstant((BigInt(targetUnix) * 1_000_000n) as ReturnType<typeof parseInstant>)
  if (Date.parse(target) < Date.parse(window.earliest) || Date.parse(target) > Date.parse(window.latest)) {
    throw new RetakeError(
      'target.outside',
      `Supabase can restore ${window.earliest} to ${window.latest}, not ${target}.`,
      {
        details: { window },
      },
    )
  }
  if (project.status !== 'ACTIVE_HEALTHY') {
    throw new RetakeError(
      'restore.refused',
      `The project is ${project.status}; Supabase restores one that is ACTIVE_HEALTHY.`,
    )
  }
  return {
    kind: 'supabase-pitr',
    projectRef: ref,
    projectName: project.name,
    organization: project.organization_slug ?? project.organization_id ?? 'unknown',
    target,
    targetUnix,
    window,
    madeAt: clock.now().toISOString(),
    warnings: WARNINGS,
  }
}

const WARNINGS: readonly string[] = [
  'The project is overwritten in place. It is down until the restore has ended, and there is no way back.',
  'Everything that was committed after the target is lost. Take a backup of your own first, if the database can still be read.',
  'Replication slots and subscriptions must be dropped before, and are gone afterwards.',
  'Stored files are not part of it: rows may then name files that exist no more, or files may have no rows.',
  'Scheduled jobs and webhooks go on at once.',
]

/**
 * Orders the restore, once. When the answer is lost, whether it began is not known: follow before anything is repeated.
 * @param options `confirm`: the project's reference, as typed by whoever decides
 * @throws RetakeError `confirmation.missing`, `plan.stale`, `supabase.*`
 */
export async function applyNativeRestore(
  api: SupabaseManagement,
  plan: NativeRestorePlan,
  options: CallOptions & { readonly confirm: string; readonly clock?: Clock | undefined },
): Promise<void> {
  await confirmNativeRestore(api, plan, options)
  await api.restorePitr(plan.projectRef, plan.targetUnix, { signal: options.signal })
}

/**
 * Everything that {@link applyNativeRestore} checks before it orders; nothing is ordered.
 * @throws RetakeError `confirmation.missing`, `plan.stale`, `supabase.*`
 */
export async function confirmNativeRestore(
  api: SupabaseManagement,
  plan: NativeRestorePlan,
  options: CallOptions & { readonly confirm: string | undefined; readonly clock?: Clock | undefined },
): Promise<void> {
  const { confirm, signal, clock = systemClock } = options
  if (confirm !== plan.projectRef) {
    throw new RetakeError(
      'confirmation.missing',
      `The project ${plan.projectRef} would be overwritten; it was not confirmed.`,
      {
        hint: `Confirm with the reference of the project: ${plan.projectRef}.`,
      },
    )
  }
  if (clock.now().getTime() - Date.parse(plan.madeAt) > PLAN_MAX_AGE_MS) {
    throw new RetakeError('plan.stale', `The plan was made at ${plan.madeAt}; plan again.`)
  }
  const again = await planNativeRestore(api, { ref: plan.projectRef, at: plan.target, clock, signal })
  if (again.targetUnix !== plan.targetUnix) throw new RetakeError('plan.stale', 'The plan was changed; plan again.')
}

/** States that no restore leads out of by itself. */
const ENDED_BADLY: ReadonlySet<string> = new Set(['RESTORE_FAILED', 'INIT_FAILED', 'INACTIVE', 'REMOVED'])

export interface FollowNativeOptions extends CallOptions {
  /** Default 10 000. */
  readonly pollMs?: number | undefined
  /** Default 120 000. */
  readonly settleMs?: number | undefined
  /** For how long Supabase may give no answer before following ends with its error; default 600 000. */
  readonly patienceMs?: number | undefined
  /** Somebody has seen the project restoring before; then a healthy one has come to the end. */
  readonly wasSeen?: boolean | undefined
  readonly clock?: Clock | undefined
}

/**
 * The project's state until the restore has ended. Right after the order the project may still look healthy: that is the end
 * only once it was seen otherwise. When it stays healthy for `settleMs`, the last state is `not-seen`.
 * @throws RetakeError `aborted`; `supabase.denied`, `supabase.missing` and the like at once; what may pass after `patienceMs`
 */
export async function* followNativeRestore(
  api: SupabaseManagement,
  ref: string,
  options: FollowNativeOptions = {},
): AsyncGenerator<NativeRestoreState, void, undefined> {
  const { pollMs = 10_000, settleMs = 120_000, patienceMs = 600_000, clock = systemClock, signal } = options
  const begunMs = clock.monotonicMs()
  let answeredMs = begunMs
  let seenRestoring = options.wasSeen ?? false
  for (;;) {
    const { status, reason } = await askStatus(api, ref, {
      signal,
      isPatient: clock.monotonicMs() - answeredMs < patienceMs,
    })
    const at = clock.now().toISOString()
    if (reason === undefined) {
      answeredMs = clock.monotonicMs()
      if (ENDED_BADLY.has(status)) return yield { status, state: 'failed', at }
      if (status !== 'ACTIVE_HEALTHY') seenRestoring = true
      else if (seenRestoring) return yield { status, state: 'done', at }
      else if (clock.monotonicMs() - begunMs >= settleMs) return yield { status, state: 'not-seen', at }
    }
    yield { status, state: 'running', at, ...(reason === undefined ? {} : { reason }) }
    await sleep(pollMs, signal)
  }
}

async function askStatus(
  api: SupabaseManagement,
  ref: string,
  { signal, isPatient }: CallOptions & { readonly isPatient: boolean },
): Promise<{ readonly status: string; readonly reason?: string }> {
  try {
    return { status: (await api.project(ref, { signal })).status }
  } catch (error) {
    // A page of something in between passes as well; a token that is refused does not come back.
    const mayPass = isRetakeError(error) && (error.retry !== 'never' || error.code === 'supabase.protocol')
    if (!mayPass || !isPatient) throw error
    return { status: 'unknown', reason: error.message }
  }
}
