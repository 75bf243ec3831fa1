/** Trying a channel: reads its secrets, sends one harmless notice, and says what happened. */
import { isRetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import type { ChannelConfig } from './config.ts'
import { type DeliveryOutcome, deliver } from './deliver.ts'
import { failureOf } from './failure.ts'
import { type OpenChannelOptions, openChannel } from './open-channel.ts'
import { testNotice } from './own-notices.ts'

export interface TestChannelOptions extends OpenChannelOptions {
  readonly timeoutMs?: number | undefined
  /** Of the notice. Default: a new one. */
  readonly id?: string | undefined
}

/**
 * What is wrong, with the configuration too, is in the outcome.
 * @throws RetakeError `aborted` only
 */
export async function testChannel(config: ChannelConfig, options: TestChannelOptions): Promise<DeliveryOutcome> {
  try {
    const channel = await openChannel(config, options)
    const now = options.now?.() ?? new Date()
    const notice = testNotice({ id: options.id ?? randomId(8), now, channel: config.name })
    return await deliver(channel, notice, { signal: options.signal, timeoutMs: options.timeoutMs })
  } catch (error) {
    if (!isRetakeError(error) || error.code === 'aborted') throw error
    return { delivered: false, failure: failureOf(error) }
  }
}
