/** Brings notices to people: what the outbox holds goes through its channels, again and again until it has arrived or is given up. */
import { randomInt } from 'node:crypto'
import type { Kysely } from 'kysely'
import { toRetakeError } from '../base/errors.ts'
import type { Logger } from '../base/progress.ts'
import { codeOf } from '../control/canaries.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { claimDeliveries, type DueDelivery, recordNotices, settleDelivery } from '../control/outbox.ts'
import type { ChannelConfig } from '../monitor/channels/config.ts'
import { deliver } from '../monitor/channels/deliver.ts'
import { type DeliveryFailure, failureOf } from '../monitor/channels/failure.ts'
import { openChannel } from '../monitor/channels/open-channel.ts'
import { decideRetry } from '../monitor/channels/retry.ts'
import { forever } from './forever.ts'

export interface TellingOptions {
  readonly db: Kysely<ControlTables>
  readonly channels: readonly ChannelConfig[]
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  readonly signal: AbortSignal
}

const EVERY_MS = 1_000
const AT_A_TIME = 16

export async function keepTelling(options: TellingOptions): Promise<void> {
  const { db, logger, signal } = options
  await forever(
    async () => {
      for (;;) {
        const due = await claimDeliveries(db, { limit: AT_A_TIME })
        await Promise.all(due.map((one) => tell(one, options)))
        if (due.length < AT_A_TIME || signal.aborted) return
      }
    },
    {
      signal,
      everyMs: EVERY_MS,
      onError: ({ message }) => logger.warn(`Notices could not be sent: ${message}`),
    },
  )
}

async function tell(due: DueDelivery, options: TellingOptions): Promise<void> {
  const { db, logger } = options
  const { notice, channel } = due
  const place = { notice: notice.id, channel }
  const outcome = await sendThrough(due, options)
  if (outcome.delivered) {
    for (const warning of outcome.warnings) logger.warn(warning, place)
    return settleDelivery(db, place, { receipt: outcome.receipt })
  }
  const { failure } = outcome
  const decision = decideRetry({
    failure,
    attempt: due.attempt,
    severity: notice.severity,
    firstTriedAt: due.firstTriedAt,
    now: new Date(),
    random: randomInt(1_000_000) / 1_000_000,
  })
  logger.warn(`A notice did not arrive through ${channel}: ${failure.message} ${decision.reason}`, place)
  // Before it is given up here, so that a crash between the two loses nothing.
  if (decision.tellAnother) await tellAnother(due, options)
  await settleDelivery(db, place, { failure, retryAt: decision.retryAt })
}

type Sent = Awaited<ReturnType<typeof deliver>>

async function sendThrough(
  { notice, channel: name, previous }: DueDelivery,
  { db, channels, env, signal }: TellingOptions,
): Promise<Sent> {
  const config = channels.find((one) => one.name === name)
  if (!config) return { delivered: false, failure: unknownChannel(name) }
  try {
    const channel = await openChannel(config, { env, signal })
    const confirmationCode = notice.kind === 'canary' ? await codeOf(db, notice.id) : undefined
    return await deliver(channel, notice, { previous, confirmationCode, signal })
  } catch (error) {
    if (signal.aborted) throw error
    return { delivered: false, failure: failureOf(toRetakeError(error)) }
  }
}

/** The first channel that has not been given this notice. */
async function tellAnother({ notice, channel }: DueDelivery, { db, channels }: TellingOptions): Promise<void> {
  if (notice.kind === 'test' || notice.kind === 'canary') return
  const others = channels.filter(({ name }) => name !== channel).map(({ name }) => name)
  await recordNotices(db, [{ notice, channels: others.slice(0, 1) }])
}

function unknownChannel(name: string): DeliveryFailure {
  return {
    code: 'config.invalid',
    message: `The server has no channel "${name}" any more.`,
    hint: 'Correct the routes in the file of the server.',
    mayRetry: false,
  }
}
