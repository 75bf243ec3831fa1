/** PagerDuty, Events API v2: an incident there for each of ours, with the same end. */
import type { Notice } from '../alerts/notice.ts'
import { type Channel, type ChannelSurroundings, makeReceipt } from './channel.ts'
import type { PagerDutyConfig } from './config.ts'
import { assertSuccess, parseObject, strangeAnswer } from './http.ts'
import { beginPosting } from './post-json.ts'
import { dedupKey, type PagerDutyEvent, renderPagerDuty } from './rendering/pagerduty-event.ts'

const HINT =
  'Put the integration key of an "Events API v2" integration of the service in its place; accounts in Europe need `server` too.'
const PEER = 'PagerDuty'

export function openPagerDuty(config: PagerDutyConfig, routingKey: string, surroundings: ChannelSurroundings): Channel {
  const secrets = [routingKey]
  const server = (config.server ?? 'https://events.pagerduty.com').replace(/\/+$/, '')
  const channel = { name: config.name, kind: 'pagerduty' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const post = beginPosting({ peer: PEER, secrets, surroundings, options })
      for (const event of eventsOf(notice, renderPagerDuty(notice, options))) {
        const answer = await post(`${server}/v2/${event.kind === 'change' ? 'change/enqueue' : 'enqueue'}`, {
          body: { routing_key: routingKey, ...event.body },
        })
        // A key that is none is status 400 there.
        assertSuccess(answer, {
          peer: PEER,
          secrets,
          now: now(),
          deniedHint: HINT,
          missingHint: HINT,
          refusedHint: HINT,
        })
        if (parseObject(answer.text)?.status !== 'success') throw strangeAnswer(PEER)
      }
      return makeReceipt(channel, notice, { at: now(), message: dedupKey(notice.incident) })
    },
  }
}

/** A test shall not leave an open incident behind: it is resolved at once. */
function eventsOf(notice: Notice, event: PagerDutyEvent): readonly PagerDutyEvent[] {
  return notice.kind === 'test' ? [event, renderPagerDuty({ ...notice, kind: 'resolved' })] : [event]
}
