/**
 * Slack. With a bot's token the first message of an incident is brought up to date and everything else goes into its thread; an incoming
 * webhook can only post. https://docs.slack.dev/reference/methods/chat.postMessage
 */
import { RetakeError } from '../../base/errors.ts'
import type { Notice } from '../alerts/notice.ts'
import {
  type Channel,
  type ChannelSurroundings,
  makeReceipt,
  type Receipt,
  receiptOf,
  type SendOptions,
} from './channel.ts'
import type { SlackBotConfig, SlackWebhookConfig } from './config.ts'
import { assertSuccess, parseObject, secretsOfAddress, strangeAnswer } from './http.ts'
import { beginPosting, type PostJson } from './post-json.ts'
import { renderSlack } from './rendering/slack-blocks.ts'
import { planPosting } from './threading.ts'

const PEER = 'Slack'
const NO_PREVIEWS = { unfurl_links: false, unfurl_media: false } as const
const WEBHOOK_HINT =
  "Make a new incoming webhook in Slack's settings of the app, and put its address in the place of the old one."
const TOKEN_HINT =
  'Put the bot token of an app that is installed in this workspace, with the scope chat:write, in its place.'

export function openSlackWebhook(config: SlackWebhookConfig, url: string, surroundings: ChannelSurroundings): Channel {
  const secrets = secretsOfAddress(url)
  const channel = { name: config.name, kind: 'slack-webhook' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const post = beginPosting({ peer: PEER, secrets, surroundings, options })
      const ask = (message: object) => post(url, { body: { ...message, ...NO_PREVIEWS } })
      const message = renderSlack(notice, options)
      let answer = await ask(message)
      // What people must know is not lost for its looks.
      if (answer.status === 400 && /block/.test(answer.text)) answer = await ask({ text: message.text })
      assertSuccess(answer, { peer: PEER, secrets, now: now(), deniedHint: WEBHOOK_HINT, missingHint: WEBHOOK_HINT })
      if (answer.text.trim() !== 'ok') throw strangeAnswer(PEER)
      return makeReceipt(channel, notice, { at: now() })
    },
  }
}

export function openSlackBot(config: SlackBotConfig, token: string, surroundings: ChannelSurroundings): Channel {
  const channel = { name: config.name, kind: 'slack-bot' } as const
  return {
    ...channel,
    async send(notice, options = {}) {
      const previous = receiptOf(channel, notice, options)
      const headers = { authorization: `Bearer ${token}` }
      const post = beginPosting({ peer: PEER, secrets: [token], surroundings, options, headers })
      const call: Call = (method, body) =>
        callSlack(method, body, { config, post, secrets: [token], now: surroundings.now() })
      return await tell(notice, { config, options, previous, call, now: surroundings.now })
    },
  }
}

type Call = (method: string, body: SlackBody) => Promise<SlackAnswer>

type SlackBody = Readonly<Record<string, unknown>>

type SlackAnswer =
  | { readonly ok: true; readonly ts: string; readonly channel: string }
  | { readonly ok: false; readonly gone: true }

interface PostOptions {
  readonly config: SlackBotConfig
  readonly options: SendOptions
  readonly previous: Receipt | undefined
  readonly call: Call
  readonly now: () => Date
}

/** The update comes first: when it is tried again after a failure, nothing stands there twice. */
async function tell(notice: Notice, { config, options, previous, call, now }: PostOptions): Promise<Receipt> {
  const first =
    previous?.first !== undefined && previous.place !== undefined
      ? { ts: previous.first, channel: previous.place }
      : undefined
  const plan = planPosting(notice, first !== undefined)
  const updated =
    plan.update && first ? await call('chat.update', { ...first, ...renderSlack(notice, options) }) : undefined
  const message = {
    ...renderSlack(notice, { ...options, brief: updated?.ok === true }),
    ...NO_PREVIEWS,
  }
  const loud = plan.loud ? { reply_broadcast: true } : {}
  const answered =
    first && updated?.ok !== false
      ? await call('chat.postMessage', { ...message, channel: first.channel, thread_ts: first.ts, ...loud })
      : undefined
  const posted = answered?.ok ? answered : await call('chat.postMessage', { ...message, channel: config.channel })
  if (!posted.ok) throw strangeAnswer(PEER)
  return makeReceipt({ name: config.name, kind: 'slack-bot' }, notice, {
    at: now(),
    message: posted.ts,
    first: answered?.ok && first ? first.ts : posted.ts,
    place: posted.channel,
  })
}

interface CallOptions {
  readonly config: SlackBotConfig
  readonly post: PostJson
  readonly secrets: readonly string[]
  readonly now: Date
}

async function callSlack(method: string, body: SlackBody, options: CallOptions): Promise<SlackAnswer> {
  const { config, post, secrets, now } = options
  const answer = await post(`${(config.server ?? 'https://slack.com/api').replace(/\/+$/, '')}/${method}`, { body })
  const missingHint = 'Correct `server` of the channel.'
  assertSuccess(answer, { peer: PEER, secrets, now, deniedHint: TOKEN_HINT, missingHint })
  const said = parseObject(answer.text)
  if (said?.ok === true && typeof said.ts === 'string' && typeof said.channel === 'string') {
    return { ok: true, ts: said.ts, channel: said.channel }
  }
  if (said?.ok !== false || typeof said.error !== 'string') throw strangeAnswer(PEER)
  // The message, or the place where it was: an answer has nothing to answer, and the news is posted where it belongs today.
  if (('ts' in body || 'thread_ts' in body) && GONE.has(said.error)) return { ok: false, gone: true }
  // What people must know is not lost for its looks.
  if (/block/.test(said.error) && 'blocks' in body) {
    const { blocks: _, ...plain } = body
    return await callSlack(method, plain, options)
  }
  throw slackFailure(said.error, config)
}

/** The message is not there any more, may not be changed any more, or stands where the app has no place any more. */
const GONE = new Set([
  'message_not_found',
  'cant_update_message',
  'edit_window_closed',
  'thread_not_found',
  'cannot_reply_to_message',
  'channel_not_found',
  'not_in_channel',
  'is_archived',
])
const PASSING = new Set([
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
  'accesslimited',
])
const DENIED =
  /^(?:not_authed|invalid_auth|account_inactive|token_revoked|token_expired|missing_scope|no_permission|not_allowed_token_type|org_login_required|ekm_access_denied|access_denied|team_access_not_granted)$/

/** Slack says with status 200 that it did not do it. https://docs.slack.dev/reference/methods/chat.postMessage#errors */
function slackFailure(error: string, config: SlackBotConfig): RetakeError {
  // It is a word of Slack's; what is none is not repeated.
  const word = /^[a-z_]{1,60}$/.test(error) ? error : 'an unknown error'
  const message = `Slack did not take the notice: ${word}.`
  if (error === 'ratelimited' || error === 'rate_limited' || error === 'message_limit_exceeded') {
    return new RetakeError('notice.rate-limited', message)
  }
  if (PASSING.has(error)) return new RetakeError('notice.failed', message)
  if (DENIED.test(error)) return new RetakeError('notice.denied', message, { hint: TOKEN_HINT })
  const hint =
    error === 'channel_not_found' || error === 'not_in_channel'
      ? `Invite the app into the channel (/invite @app), and check \`channel\`, which is ${config.channel}.`
      : error === 'is_archived'
        ? `Unarchive the channel ${config.channel}, or name another one.`
        : `Look the word up in Slack's reference of chat.postMessage, then test the channel.`
  return new RetakeError('notice.refused', message, { hint })
}
