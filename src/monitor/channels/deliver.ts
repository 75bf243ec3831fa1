/** One attempt to deliver, as data: what an outbox writes down. */
import { throwIfAborted } from '../../base/abort.ts'
import { attempt } from '../../base/attempt.ts'
import type { Notice } from '../alerts/notice.ts'
import { type Channel, DELIVERY_LIMIT_MS, type Receipt, type SendOptions } from './channel.ts'
import { type DeliveryFailure, failureOf } from './failure.ts'

export type DeliveryOutcome =
  | {
      readonly delivered: true
      readonly receipt: Receipt
      /** What somebody should know although it was delivered, such as a recipient who was refused. */
      readonly warnings: readonly string[]
    }
  | { readonly delivered: false; readonly failure: DeliveryFailure }

/** Longer than the channel's own limit: it is only for one that does not keep it. */
const GRACE_MS = 2_000

/**
 * Tries once, and ends in time whatever the channel does.
 * @throws RetakeError `aborted` only
 */
export async function deliver(channel: Channel, notice: Notice, options: SendOptions = {}): Promise<DeliveryOutcome> {
  throwIfAborted(options.signal)
  const timeoutMs = options.timeoutMs ?? DELIVERY_LIMIT_MS
  const outcome = await attempt((signal) => channel.send(notice, { ...options, timeoutMs, signal }), {
    limitMs: timeoutMs + GRACE_MS,
    what: `the channel "${channel.name}"`,
    hint: 'Test the channel; whether the notice arrived is not known.',
    signal: options.signal,
  })
  if ('error' in outcome) return { delivered: false, failure: failureOf(outcome.error) }
  const { refused = [] } = outcome.value
  return {
    delivered: true,
    receipt: outcome.value,
    warnings: refused.map(
      ({ address, reason }) => `The mail server did not accept ${address} (${reason}); the others got the notice.`,
    ),
  }
}
