/** The shape of a check in a drill, and how it becomes a result. */

import type { Clock } from '../base/clock.ts'
import { isRetakeError, toRetakeError } from '../base/errors.ts'
import type { DrillCheck } from '../repository/drills.ts'

export interface Found {
  readonly result: DrillCheck['result']
  readonly detail: string
}

export interface Check<T> {
  readonly name: string
  readonly title: string
  readonly run: (subject: T) => Promise<Found>
}

export const passed = (detail: string): Found => ({ result: 'passed', detail })
export const failed = (detail: string): Found => ({ result: 'failed', detail })
export const skipped = (detail: string): Found => ({ result: 'skipped', detail })
export const notVerifiable = (detail: string): Found => ({ result: 'not-verifiable', detail })

/**
 * Makes a check. What it throws is a finding: a server that cannot answer is not one that was recovered.
 * @throws RetakeError `aborted`, `timeout` when the drill is to end
 */
export async function runCheck<T>(
  check: Check<T>,
  subject: T,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<DrillCheck> {
  const begunMs = clock.monotonicMs()
  const found = await check.run(subject).catch((error: unknown) => {
    if (signal.aborted) throw isRetakeError(signal.reason) ? signal.reason : toRetakeError(error)
    return failed(toRetakeError(error).message)
  })
  return { name: check.name, title: check.title, ...found, durationMs: Math.round(clock.monotonicMs() - begunMs) }
}

/** The first few of them, and how many more there are. */
export function enumerate(list: readonly string[], most = 5): string {
  const rest = list.length - most
  return list.slice(0, most).join('; ') + (rest > 0 ? `; and ${rest} more` : '')
}
