/** When a delivery is tried again, and when somebody else must be told instead. Pure. */
import type { AlertSeverity } from '../alerts/notice.ts'
import type { DeliveryFailure } from './failure.ts'

export interface RetryPolicy {
  /** Before the second attempt. */
  readonly firstDelayMs: number
  /** How much longer each next one is. */
  readonly factor: number
  readonly longestDelayMs: number
  /** After that much time since the notice was first tried it is given up. */
  readonly giveUpAfterMs: number
}

/** Within a minute for what passes quickly, for a day for a service that is down. */
export const RETRY_POLICY: RetryPolicy = {
  firstDelayMs: 5_000,
  factor: 3,
  longestDelayMs: 15 * 60_000,
  giveUpAfterMs: 24 * 60 * 60_000,
}

export interface FailedAttempt {
  readonly failure: DeliveryFailure
  /** Which attempt it was, from 1. */
  readonly attempt: number
  readonly severity: AlertSeverity
  readonly firstTriedAt: Date
  readonly now: Date
  /** From 0 to 1, so that many notices do not come back at the same moment. */
  readonly random: number
}

export interface RetryDecision {
  /** Absent: given up. */
  readonly retryAt?: Date | undefined
  /**
   * Whether another channel must take the notice now: what is critical does not wait for a second attempt, and what is given up must
   * not be lost. Said once for the first failure, and once when it is given up.
   */
  readonly tellAnother: boolean
  /** For people. */
  readonly reason: string
}

/** How much of a delay is left to chance. */
const JITTER = 0.2

export function decideRetry(failed: FailedAttempt, policy: RetryPolicy = RETRY_POLICY): RetryDecision {
  const { failure, attempt, severity, firstTriedAt, now, random } = failed
  if (!failure.mayRetry) {
    return { tellAnother: true, reason: 'It fails until something is changed, so it is not tried again.' }
  }
  const grown = policy.firstDelayMs * policy.factor ** Math.min(attempt - 1, 50)
  const delayMs = Math.min(policy.longestDelayMs, grown) * (1 - JITTER / 2 + JITTER * random)
  // What the other side asks for is a minimum; never earlier.
  const waitMs = Math.ceil(Math.max(delayMs, (failure.retryAfterMs ?? 0) + delayMs * JITTER * random))
  const retryAt = new Date(now.getTime() + waitMs)
  if (retryAt.getTime() - firstTriedAt.getTime() > policy.giveUpAfterMs) {
    return { tellAnother: true, reason: `It was tried ${attempt} times, and is too old now.` }
  }
  return { retryAt, tellAnother: attempt === 1 && severity === 'critical', reason: 'It may pass.' }
}
