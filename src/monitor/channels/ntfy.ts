/** ntfy: pushed to telephones that subscribed to the topic. */
import { type Channel, type ChannelSurroundings, DELIVERY_LIMIT_MS } from './channel.ts'
import type { NtfyConfig } from './config.ts'
import { assertSuccess, exchangeHttp, parseObject, strangeAnswer } from './http.ts'
import { renderNtfy } from './rendering/ntfy-message.ts'

const DENIED_HINT = 'Give `token` an access token that may write to the topic.'
const MISSING_HINT = 'Correct `server` of the channel: it is the address of the ntfy server without the topic.'
const PEER = 'ntfy'

export interface NtfySecrets {
  readonly topic: string
  readonly token?: string | undefined
}

export function openNtfy(
  config: NtfyConfig,
  { topic, token }: NtfySecrets,
  { fetch, now }: ChannelSurroundings,
): Channel {
  const secrets = [topic, ...(token === undefined ? [] : [token])]
  return {
    name: config.name,
    kind: 'ntfy',
    async send(notice, options = {}) {
      const answer = await exchangeHttp({
        url: `${(config.server ?? 'https://ntfy.sh').replace(/\/+$/, '')}/`,
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(renderNtfy(notice, { ...options, topic })),
        fetch,
        timeoutMs: options.timeoutMs ?? DELIVERY_LIMIT_MS,
        signal: options.signal,
        peer: PEER,
        secrets,
      })
      assertSuccess(answer, { peer: PEER, secrets, now: now(), deniedHint: DENIED_HINT, missingHint: MISSING_HINT })
      const id = parseObject(answer.text)?.id
      if (typeof id !== 'string') throw strangeAnswer(PEER)
      return {
        channel: config.name,
        kind: 'ntfy',
        notice: notice.id,
        incident: notice.incident,
        at: now().toISOString(),
        message: id,
      }
    },
  }
}
