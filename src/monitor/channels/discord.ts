/** Discord: the first message of an incident is brought up to date, everything else is posted. https://discord.com/developers/docs/resources/webhook */
import { type Channel, type ChannelSurroundings, makeReceipt, receiptOf } from './channel.ts'
import type { DiscordConfig } from './config.ts'
import { assertSuccess, parseObject, secretsOfAddress, strangeAnswer } from './http.ts'
import { beginPosting } from './post-json.ts'
import { renderDiscord } from './rendering/discord-embed.ts'
import { planPosting } from './threading.ts'

const HINT =
  'Make a new webhook in the settings of the Discord channel, and put its address in the place of the old one.'
const PEER = 'Discord'

export function openDiscord(config: DiscordConfig, url: string, surroundings: ChannelSurroundings): Channel {
  const channel = { name: config.name, kind: 'discord' } as const
  const secrets = secretsOfAddress(url)
  return {
    ...channel,
    async send(notice, options = {}) {
      const post = beginPosting({ peer: PEER, secrets, surroundings, options })
      const body = renderDiscord(notice, options)
      const judge = { peer: PEER, secrets, now: surroundings.now(), deniedHint: HINT, missingHint: HINT }
      const first = receiptOf(channel, notice, options)?.first
      const updated = first !== undefined && planPosting(notice, true).update
      let stands = first
      if (updated) {
        const answer = await post(addressOf(url, first), { method: 'PATCH', body })
        // Somebody deleted it; the webhook itself would be another number.
        if (answer.status === 404 && parseObject(answer.text)?.code === UNKNOWN_MESSAGE) stands = undefined
        else assertSuccess(answer, judge)
      }
      const answer = await post(addressOf(url), { body })
      assertSuccess(answer, judge)
      const id = parseObject(answer.text)?.id
      if (typeof id !== 'string') throw strangeAnswer(PEER)
      return makeReceipt(channel, notice, { at: surroundings.now(), message: id, first: stands ?? id })
    },
  }
}

const UNKNOWN_MESSAGE = 10008

/** `wait=true`: the answer is the message, and an error of it is said. */
function addressOf(webhook: string, message?: string): string {
  const url = new URL(webhook)
  if (message === undefined) url.searchParams.set('wait', 'true')
  else url.pathname = `${url.pathname.replace(/\/+$/, '')}/messages/${encodeURIComponent(message)}`
  return url.href
}
