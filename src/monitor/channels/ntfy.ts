/** ntfy: pushed to telephones that subscribed to the topic. */
import { type Channel, type ChannelSurroundings, makeReceipt } from './channel.ts'
import type { NtfyConfig } from './config.ts'
import { assertSuccess, parseObject, strangeAnswer } from './http.ts'
import { beginPosting } from './post-json.ts'
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
  surroundings: ChannelSurroundings,
): Channel {
  const secrets = [topic, ...(token === undefined ? [] : [token])]
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const channel = { name: config.name, kind: 'ntfy' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const post = beginPosting({ peer: PEER, secrets, surroundings, options, headers })
      // To the server's root: the topic is in the message, and in no log of addresses.
      const answer = await post(`${(config.server ?? 'https://ntfy.sh').replace(/\/+$/, '')}/`, {
        body: renderNtfy(notice, { ...options, topic }),
      })
      assertSuccess(answer, { peer: PEER, secrets, now: now(), deniedHint: DENIED_HINT, missingHint: MISSING_HINT })
      const id = parseObject(answer.text)?.id
      if (typeof id !== 'string') throw strangeAnswer(PEER)
      return makeReceipt(channel, notice, { at: now(), message: id })
    },
  }
}
