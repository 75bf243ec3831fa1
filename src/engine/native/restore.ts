/**
 * A native point-in-time restore by Supabase: plan → confirm → order → follow. It overwrites the project in place, so it is ordered
 * once, whatever happens to whoever orders it: see `order.ts`.
 */
import { unlink } from 'node:fs/promises'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { SupabaseManagement } from '../../supabase/management/api.ts'
import {
  confirmNativeRestore,
  followNativeRestore,
  type NativeRestorePlan,
  type NativeRestoreState,
  planNativeRestore,
} from '../../supabase/management/native-restore.ts'
import { defaultSlotName } from '../config-options.ts'
import type { RetakeSettings } from '../open.ts'
import { openNativeLink } from './link.ts'
import { beginOrder, type NativeOrder, orderFileOf, readOrder, writeOrder } from './order.ts'

export interface NativeSteps {
  /** What to do on the server while it still runs. */
  readonly before: readonly string[]
  /** What brings Retake's own protection back. */
  readonly after: readonly string[]
}

/**
 * Checks that Supabase could restore the configured project to this moment, and says what that means. Changes nothing.
 * @param options `at`: an instant with its offset
 * @throws RetakeError `config.invalid`, `target.invalid`, `target.outside`, `restore.refused`, `supabase.*`
 */
export async function planNative(
  settings: RetakeSettings,
  options: { readonly at: string; readonly signal?: AbortSignal | undefined },
): Promise<NativeRestorePlan> {
  const { at, signal } = options
  const { api, ref } = await openNativeLink(settings, { signal })
  return planNativeRestore(api, { ref, at, signal, clock: settings.clock })
}

/** The restored server has gone back in time, without our slot: what the receiver would send on belongs to another history. */
export function nativeSteps({ config, clusterName }: RetakeSettings): NativeSteps {
  const slot = config.slot ?? defaultSlotName(clusterName)
  return {
    before: [
      'retake backup   # while the database can still be read: the only way back',
      'stop the receiver (retake wal receive)',
      `select pg_drop_replication_slot('${slot}')   -- Supabase restores no project that has slots of others`,
    ],
    after: [
      `retake init   # makes the slot "${slot}" anew`,
      'retake backup --type full   # the server follows another history than what is held',
      'retake wal receive   # as a service, again',
      'retake health',
    ],
  }
}

export interface ApplyNativeOptions {
  /** Where the plan was read from: what was ordered is written down beside it. */
  readonly planFile: string
  /** Asked once, before anything is ordered: the reference of the project, as typed by whoever decides. */
  readonly confirm: () => Promise<string | undefined>
  readonly onState?: ((state: NativeRestoreState) => void) | undefined
  /** Default 10 000. */
  readonly pollMs?: number | undefined
  /** How long a project may look healthy before its restore counts as not seen; default 120 000. */
  readonly settleMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface NativeRestoreReport {
  readonly project: string
  readonly target: string
  readonly orderedAt: string
  readonly endedAt: string
  /** True: an earlier run had ordered it. */
  readonly resumed: boolean
  /** What Supabase says of its services afterwards; absent when it did not say. */
  readonly services?: readonly { readonly name: string; readonly status: string }[] | undefined
  readonly after: readonly string[]
}

/**
 * Everything that {@link applyNative} checks before it orders, but for the confirmation. Changes nothing.
 * @returns `isOrdered`: it was ordered before, and would only be followed
 * @throws RetakeError `plan.stale`, `restore.refused`, `target.outside`, `supabase.*`
 */
export async function checkNative(
  settings: RetakeSettings,
  plan: NativeRestorePlan,
  options: Pick<ApplyNativeOptions, 'planFile' | 'signal'>,
): Promise<{ readonly isOrdered: boolean }> {
  const { api, known } = await openPlanned(settings, plan, options)
  const { clock } = settings
  if (!known) await confirmNativeRestore(api, plan, { confirm: plan.projectRef, clock, signal: options.signal })
  return { isOrdered: known !== undefined }
}

/**
 * Orders the restore that was planned, and follows it to its end. When this plan was ordered before, it is followed only: an
 * order whose answer was lost may have been carried out, and is never sent again.
 * @throws RetakeError `confirmation.missing`, `plan.stale`, `supabase.*`, `aborted`
 */
export async function applyNative(
  settings: RetakeSettings,
  plan: NativeRestorePlan,
  options: ApplyNativeOptions,
): Promise<NativeRestoreReport> {
  const { planFile } = options
  const { api, known } = await openPlanned(settings, plan, options)
  const order = known ?? (await giveOrder(api, plan, { ...options, settings }))
  try {
    return await follow({ api, plan, order, settings, options, resumed: known !== undefined })
  } catch (error) {
    if (!isRetakeError(error, 'aborted')) throw error
    throw stopped(planFile, 'Supabase goes on with it', error)
  }
}

async function openPlanned(
  settings: RetakeSettings,
  plan: NativeRestorePlan,
  { planFile, signal }: Pick<ApplyNativeOptions, 'planFile' | 'signal'>,
): Promise<{ readonly api: SupabaseManagement; readonly known: NativeOrder | undefined }> {
  const { api, ref } = await openNativeLink(settings, { signal })
  if (ref !== plan.projectRef) {
    throw new RetakeError('plan.stale', `The plan is for the project ${plan.projectRef}; ${ref} is configured.`, {
      hint: 'Configure the project of the plan, or plan again.',
    })
  }
  const known = await readOrder(planFile, plan)
  if (known?.outcome !== undefined) throw alreadyEnded(known, planFile)
  return { api, known }
}

function stopped(planFile: string, meanwhile: string, cause: RetakeError): RetakeError {
  return new RetakeError('aborted', `Nobody follows the restore any more; ${meanwhile}.`, {
    hint: `Follow it again: retake native apply ${planFile}`,
    cause,
  })
}

async function giveOrder(
  api: SupabaseManagement,
  plan: NativeRestorePlan,
  options: ApplyNativeOptions & { readonly settings: RetakeSettings },
): Promise<NativeOrder> {
  const { planFile, signal, settings } = options
  const { clock } = settings
  await confirmNativeRestore(api, plan, { confirm: await options.confirm(), clock, signal })
  const order = await beginOrder(planFile, plan, clock.now())
  if (!order) return orderOfAnother(planFile, plan)
  try {
    await api.restorePitr(plan.projectRef, plan.targetUnix, { signal })
  } catch (error) {
    if (isRetakeError(error) && CERTAINLY_REFUSED.has(error.code)) {
      await unlink(orderFileOf(planFile, plan))
      throw error
    }
    if (isRetakeError(error, 'aborted')) throw stopped(planFile, 'if Supabase has taken the order, it goes on', error)
    if (!isRetakeError(error)) throw error
    // The answer was lost, or came from something in between. What the project does now is the answer.
    settings.logger.warn(`Whether Supabase has taken the order is not known: ${error.message}`)
  }
  return order
}

/** Another process carries out the same plan; this one follows. @throws RetakeError `plan.stale` when that one was refused meanwhile */
async function orderOfAnother(planFile: string, plan: NativeRestorePlan): Promise<NativeOrder> {
  const order = await readOrder(planFile, plan)
  if (order) return order
  throw new RetakeError('plan.stale', 'Another process has ordered this plan, and Supabase refused it.', {
    hint: 'Plan again.',
  })
}

/** Answers after which nothing was carried out. */
const CERTAINLY_REFUSED: ReadonlySet<string> = new Set([
  'supabase.denied',
  'supabase.plan',
  'supabase.missing',
  'supabase.refused',
  'supabase.rate-limited',
])

interface Following {
  readonly api: SupabaseManagement
  readonly plan: NativeRestorePlan
  readonly order: NativeOrder
  readonly settings: RetakeSettings
  readonly options: ApplyNativeOptions
  readonly resumed: boolean
}

async function follow({ api, plan, order, settings, options, resumed }: Following): Promise<NativeRestoreReport> {
  const { planFile, pollMs, settleMs, signal, onState } = options
  const { clock } = settings
  let current = order
  const note = async (more: Partial<NativeOrder>) => {
    current = { ...current, ...more }
    await writeOrder(planFile, plan, current)
  }
  const states = followNativeRestore(api, plan.projectRef, { pollMs, settleMs, signal, clock, wasSeen: order.seen })
  for await (const state of states) {
    onState?.(state)
    const { status, at, reason } = state
    if (!current.seen && reason === undefined && status !== 'ACTIVE_HEALTHY') await note({ seen: true })
    if (state.state === 'running') continue
    if (state.state === 'not-seen') {
      // Another who follows the same restore may have seen what passed between two of our looks.
      const noted = await readOrder(planFile, plan)
      if (!noted?.seen) throw notSeen(current)
      return follow({ api, plan, order: noted, settings, options, resumed })
    }
    await note({ outcome: state.state, endedAt: at })
    if (state.state === 'failed') throw restoreFailed(status, plan)
    const services = await askServices(api, plan.projectRef, signal)
    const { projectRef: project, target } = plan
    const base = { project, target, orderedAt: order.orderedAt, endedAt: at, resumed }
    return { ...base, ...(services ? { services } : {}), after: nativeSteps(settings).after }
  }
  throw new Error('assertion failed: following ended without an end')
}

/** Undefined: Supabase does not say. The restore has ended all the same. */
async function askServices(api: SupabaseManagement, ref: string, signal: AbortSignal | undefined) {
  try {
    return (await api.health(ref, { signal })).map(({ name, status }) => ({ name, status }))
  } catch (error) {
    if (!isRetakeError(error) || error.code === 'aborted') throw error
    return undefined
  }
}

function notSeen({ orderedAt, project }: NativeOrder): RetakeError {
  return new RetakeError(
    'supabase.failed',
    `Whether the restore that was ordered at ${orderedAt} has run is not known: since this run looks, the project ${project} was healthy all the time.`,
    {
      hint: 'Look at the project in the dashboard of Supabase, and at its newest rows. When nothing was restored, make a new plan.',
      retry: 'never',
    },
  )
}

function restoreFailed(status: string, { projectRef }: NativeRestorePlan): RetakeError {
  return new RetakeError('supabase.failed', `Supabase did not restore the project ${projectRef}: it is ${status}.`, {
    hint: 'Ask the support of Supabase. What Retake holds is restored without it: retake restore plan --at latest --to DIR',
    retry: 'never',
  })
}

function alreadyEnded({ outcome, endedAt, project }: NativeOrder, planFile: string): RetakeError {
  const how = outcome === 'done' ? 'was carried out' : 'failed'
  return new RetakeError('plan.stale', `This plan ${how}: the restore of ${project} ended at ${endedAt}.`, {
    hint: `To restore again, make a new plan: retake native plan --at INSTANT --out ${planFile}`,
  })
}
