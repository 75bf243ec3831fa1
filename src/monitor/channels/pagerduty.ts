/** PagerDuty, Events API v2: an incident there for each of ours, with the same end. */
import type { Notice } from '../alerts/notice.ts'
import { type Channel, type ChannelSurroundings, DELIVERY_LIMIT_MS } from './channel.ts'
import type { PagerDutyConfig } from './config.ts'
import { assertSuccess, exchangeHttp, parseObject, strangeAnswer } from './http.ts'
import { dedupKey, type PagerDutyEvent, renderPagerDuty } from './rendering/pagerduty-event.ts'

const HINT =
  'Put the integration key of an "Events API v2" integration of the service in its place; accounts in Europe need `server` too.'
const PEER = 'PagerDuty'

export function openPagerDuty(
  config: PagerDutyConfig,
  routingKey: string,
  { fetch, now }: ChannelSurroundings,
): Channel {
  const secrets = [routingKey]
  const server = (config.server ?? 'https://events.pagerduty.com').replace(/\/+$/, '')
  return {
    name: config.name,
    kind: 'pagerduty',
    async send(notice, options = {}) {
      const deadline = performance.now() + (options.timeoutMs ?? DELIVERY_LIMIT_MS)
      for (const event of eventsOf(notice, renderPagerDuty(notice, options))) {
        const answer = await exchangeHttp({
          url: `${server}/v2/${event.kind === 'change' ? 'change/enqueue' : 'enqueue'}`,
          headers: { 'content-type': 'application/json; charset=utf-8' },
          body: JSON.stringify({ routing_key: routingKey, ...event.body }),
          fetch,
          timeoutMs: Math.max(1, deadline - performance.now()),
          signal: options.signal,
          peer: PEER,
          secrets,
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
      return {
        channel: config.name,
        kind: 'pagerduty',
        notice: notice.id,
        incident: notice.incident,
        at: now().toISOString(),
        message: dedupKey(notice.incident),
      }
    },
  }
}

/** A test shall not leave an open incident behind: it is resolved at once. */
function eventsOf(notice: Notice, event: PagerDutyEvent): readonly PagerDutyEvent[] {
  return notice.kind === 'test' ? [event, renderPagerDuty({ ...notice, kind: 'resolved' })] : [event]
}
