/** What is known of a channel from what went through it, and whether it still works. Pure. */
import type { DeliveryFailure } from './failure.ts'

export interface ChannelState {
  readonly name: string
  /** When the other side last took a notice. */
  readonly deliveredAt?: Date | undefined
  /** The last notice that was given up; tests, which somebody watches, do not count. */
  readonly givenUp?: { readonly at: Date; readonly failure: DeliveryFailure } | undefined
  /** The notice that has failed and waits for the longest time. */
  readonly waiting?: { readonly since: Date; readonly failure: DeliveryFailure } | undefined
  /** When the last notice was delivered of which a person has said that it arrived. */
  readonly provenAt?: Date | undefined
  /** The last one. */
  readonly canary?: CanaryState | undefined
}

export interface CanaryState {
  readonly notice: string
  readonly at: Date
  /** `delivered`: the other side has taken it, and nobody has confirmed it. */
  readonly state: 'waiting' | 'delivered' | 'failed' | 'confirmed'
  readonly failure?: DeliveryFailure | undefined
}

/** What is tried again may pass; after so long it has not. */
export const FAILING_AFTER_MS = 15 * 60_000

/** Why a channel counts as failing: something was given up, or has waited for long, and nothing has arrived since. Undefined: it does not. */
export function failureNow(
  state: ChannelState,
  now: Date,
): { readonly since: Date; readonly failure: DeliveryFailure } | undefined {
  const { deliveredAt, givenUp, waiting } = state
  const isBefore = (moment: Date) => deliveredAt === undefined || deliveredAt < moment
  if (givenUp && isBefore(givenUp.at)) return { since: givenUp.at, failure: givenUp.failure }
  const isLong = waiting && now.getTime() - waiting.since.getTime() > FAILING_AFTER_MS
  return isLong && isBefore(waiting.since) ? waiting : undefined
}
