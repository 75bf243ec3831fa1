/**
 * A native point-in-time restore: plan, confirm, carry out, follow. Supabase restores **in place**: the project is down
 * meanwhile and there is no way back, so nothing is sent before every check passed and the project was named once more.
 */
import { sleep } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { RetakeError } from '../../base/errors.ts'
import { formatInstant, parseInstant } from '../../base/instant.ts'
import type { SupabaseManagement } from './api.ts'
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
  readonly status: string
  /** `not-seen`: the project stayed healthy all the time, so nothing shows that a restore has run. */
  readonly state: 'running' | 'done' | 'failed' | 'not-seen'
  readonly at: string
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
  const { confirm, signal, clock = systemClock } = options
  if (confirm !== plan.projectRef) {
    throw new RetakeError(
      'confirmation.missing',
      `The project ${plan.projectRef} would be overwritten; it was not confirmed.`,
      {
        hint: `Confirm with ${plan.projectRef}.`,
      },
    )
  }
  if (clock.now().getTime() - Date.parse(plan.madeAt) > PLAN_MAX_AGE_MS) {
    throw new RetakeError('plan.stale', `The plan was made at ${plan.madeAt}; plan again.`)
  }
  const again = await planNativeRestore(api, { ref: plan.projectRef, at: plan.target, clock, signal })
  if (again.targetUnix !== plan.targetUnix) throw new RetakeError('plan.stale', 'The plan was changed; plan again.')
  await api.restorePitr(plan.projectRef, plan.targetUnix, { signal })
}

/**
 * The project's state until the restore has ended. Right after the order the project may still look healthy: that is the end
 * only once it was seen otherwise. When it stays healthy for `settleMs`, the last state is `not-seen`.
 */
export async function* followNativeRestore(
  api: SupabaseManagement,
  ref: string,
  options: CallOptions & {
    /** Default 10 000. */
    readonly pollMs?: number | undefined
    /** Default 120 000. */
    readonly settleMs?: number | undefined
    readonly clock?: Clock | undefined
  } = {},
): AsyncGenerator<NativeRestoreState, void, undefined> {
  const { pollMs = 10_000, settleMs = 120_000, clock = systemClock, signal } = options
  const begunMs = clock.monotonicMs()
  let seenRestoring = false
  for (;;) {
    const { status } = await api.project(ref, { signal })
    const at = clock.now().toISOString()
    if (status === 'RESTORE_FAILED') return yield { status, state: 'failed', at }
    if (status !== 'ACTIVE_HEALTHY') seenRestoring = true
    else if (seenRestoring) return yield { status, state: 'done', at }
    else if (clock.monotonicMs() - begunMs >= settleMs) return yield { status, state: 'not-seen', at }
    yield { status, state: 'running', at }
    await sleep(pollMs, signal)
  }
}
