/** A webhook for programs: the notice as JSON, signed as Standard Webhooks says, so that a receiver knows who sent it, and once. */
import { createHmac } from 'node:crypto'
import { RetakeError } from '../../base/errors.ts'
import { type Channel, type ChannelSurroundings, makeReceipt } from './channel.ts'
import type { WebhookConfig } from './config.ts'
import { assertSuccess, secretsOfAddress } from './http.ts'
import { beginPosting } from './post-json.ts'
import { renderWebhook } from './rendering/webhook-payload.ts'

const MISSING_HINT = 'The receiver is not there any more: correct the address of the channel, or take the channel away.'
const DENIED_HINT = 'Look in the log of the receiver; both sides must have the same secret, and clocks that agree.'

export interface WebhookSecrets {
  readonly url: string
  readonly secret: string
}

export function openWebhook(
  config: WebhookConfig,
  { url, secret }: WebhookSecrets,
  surroundings: ChannelSurroundings,
): Channel {
  const key = readSigningKey(secret, config.name)
  const peer = `The webhook at ${new URL(url).host}`
  const secrets = [secret, ...secretsOfAddress(url)]
  const channel = { name: config.name, kind: 'webhook' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const body = JSON.stringify(renderWebhook(notice, options))
      const post = beginPosting({ peer, secrets, surroundings, options })
      const headers = signatureHeaders({ id: notice.id, body, key, now: now() })
      const answer = await post(url, { headers, body })
      assertSuccess(answer, { peer, secrets, now: now(), deniedHint: DENIED_HINT, missingHint: MISSING_HINT })
      return makeReceipt(channel, notice, { at: now(), message: webhookId(notice.id) })
    },
  }
}

export interface SignatureInput {
  readonly id: string
  readonly body: string
  readonly key: Buffer
  readonly now: Date
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme */
export function signatureHeaders({ id, body, key, now }: SignatureInput): Readonly<Record<string, string>> {
  const name = webhookId(id)
  const timestamp = Math.floor(now.getTime() / 1000)
  const signature = createHmac('sha256', key).update(`${name}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': name, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` }
}

/** The parts of what is signed are separated by dots, so the id has none; it is the same when the notice is sent again. */
function webhookId(id: string): string {
  return `msg_${id.replace(/[^A-Za-z0-9_-]/g, '_')}`
}

const PREFIX = 'whsec_'

/** @throws RetakeError `config.invalid` */
export function readSigningKey(secret: string, channel: string): Buffer {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : ''
  const key = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (key.length >= 24 && key.length <= 64) return key
  throw new RetakeError('config.invalid', `The secret of the channel "${channel}" is not a key for signatures.`, {
    hint: `Make one with: echo "${PREFIX}$(openssl rand -base64 32)", and give the same to the receiver.`,
  })
}
