/** Teams: a card through a workflow ("Post to a channel when a webhook request is received"). It can post, and nothing else. */
import { RetakeError } from '../../base/errors.ts'
import { type Channel, type ChannelSurroundings, makeReceipt } from './channel.ts'
import type { TeamsConfig } from './config.ts'
import { assertSuccess, quote, secretsOfAddress } from './http.ts'
import { beginPosting } from './post-json.ts'
import { renderTeams } from './rendering/adaptive-card.ts'

const HINT =
  'Open the workflow in Teams: it must be switched on, and its owner still a member; then put its address in the place of the old one.'
const PEER = 'Teams'

export function openTeams(config: TeamsConfig, url: string, surroundings: ChannelSurroundings): Channel {
  const secrets = secretsOfAddress(url)
  const channel = { name: config.name, kind: 'teams' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const post = beginPosting({ peer: PEER, secrets, surroundings, options })
      const answer = await post(url, { body: renderTeams(notice, options) })
      assertSuccess(answer, { peer: PEER, secrets, now: now(), deniedHint: HINT, missingHint: HINT })
      assertTaken(answer.text, secrets)
      return makeReceipt(channel, notice, { at: now() })
    },
  }
}

/** A workflow answers with nothing (202). A connector of the old kind says with status 200 what went wrong behind it. */
function assertTaken(text: string, secrets: readonly string[]): void {
  const inner = /HTTP error (\d{3})/.exec(text)?.[1]
  if (inner === undefined && !/failed|error|^\s*</i.test(text)) return
  const said = `Teams took the message and then said: ${quote(text, secrets)}.`
  if (inner === '429') throw new RetakeError('notice.rate-limited', said)
  throw new RetakeError('notice.failed', said, { hint: HINT })
}
