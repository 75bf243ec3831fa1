/** Discord: the first message of an incident is brought up to date, everything else is posted. https://discord.com/developers/docs/resources/webhook */
import type { Notice } from '../alerts/notice.ts'
import { type Channel, type ChannelSurroundings, DELIVERY_LIMIT_MS, receiptOf } from './channel.ts'
import type { DiscordConfig } from './config.ts'
import { assertSuccess, exchangeHttp, parseObject, secretsOfAddress, strangeAnswer } from './http.ts'
import { renderDiscord } from './rendering/discord-embed.ts'
import { planPosting } from './threading.ts'

const HINT =
  'Make a new webhook in the settings of the Discord channel, and put its address in the place of the old one.'
const PEER = 'Discord'

export function openDiscord(config: DiscordConfig, url: string, { fetch, now }: ChannelSurroundings): Channel {
  const channel = { name: config.name, kind: 'discord' } as const
  const secrets = secretsOfAddress(url)
  return {
    ...channel,
    async send(notice, options = {}) {
      const deadline = performance.now() + (options.timeoutMs ?? DELIVERY_LIMIT_MS)
      const ask = (address: string, method: 'POST' | 'PATCH') =>
        exchangeHttp({
          url: address,
          method,
          headers: { 'content-type': 'application/json; charset=utf-8' },
          body: JSON.stringify(renderDiscord(notice, options)),
          fetch,
          timeoutMs: Math.max(1, deadline - performance.now()),
          signal: options.signal,
          peer: PEER,
          secrets,
        })
      const judge = { peer: PEER, secrets, now: now(), deniedHint: HINT, missingHint: HINT }
      const first = receiptOf(channel, notice, options)?.first
      const updated = first !== undefined && planPosting(notice.kind, true).update
      let stands = first
      if (updated) {
        const answer = await ask(addressOf(url, first), 'PATCH')
        // Somebody deleted it; the webhook itself would be another number.
        if (answer.status === 404 && parseObject(answer.text)?.code === UNKNOWN_MESSAGE) stands = undefined
        else assertSuccess(answer, judge)
      }
      const answer = await ask(addressOf(url), 'POST')
      assertSuccess(answer, judge)
      const id = parseObject(answer.text)?.id
      if (typeof id !== 'string') throw strangeAnswer(PEER)
      return receipt(notice, { name: config.name, id, first: stands ?? id, at: now().toISOString() })
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

function receipt(
  notice: Notice,
  sent: { readonly name: string; readonly id: string; readonly first: string; readonly at: string },
) {
  const { name, id, first, at } = sent
  return {
    channel: name,
    kind: 'discord',
    notice: notice.id,
    incident: notice.incident,
    at,
    message: id,
    first,
  } as const
}
