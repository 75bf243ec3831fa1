/** Telegram: a bot's message, brought up to date and answered as the incident goes on. https://core.telegram.org/bots/api#sendmessage */
import { type Channel, type ChannelSurroundings, makeReceipt, receiptOf, type SendOptions } from './channel.ts'
import type { TelegramConfig } from './config.ts'
import { assertSuccess, type HttpAnswer, parseObject, strangeAnswer } from './http.ts'
import { beginPosting } from './post-json.ts'
import { renderTelegram } from './rendering/telegram-html.ts'
import { planPosting } from './threading.ts'

const TOKEN_HINT = 'Put the token that @BotFather gave for the bot in its place, and let the bot into the chat.'
const CHAT_HINT =
  'Write to the bot, or invite it into the group, then check `chat`; a group that became a supergroup has another number.'
const PEER = 'Telegram'

export function openTelegram(config: TelegramConfig, token: string, surroundings: ChannelSurroundings): Channel {
  const channel = { name: config.name, kind: 'telegram' } as const
  const { now } = surroundings
  return {
    ...channel,
    async send(notice, options = {}) {
      const previous = receiptOf(channel, notice, options)
      // Another chat counts its messages anew.
      const first = previous?.place === config.chat ? numberOf(previous.first) : undefined
      const plan = planPosting(notice, first !== undefined)
      const call = caller(config, { token, options, surroundings })
      const common = { chat_id: config.chat, parse_mode: 'HTML', link_preview_options: { is_disabled: true } }
      // The edit comes first: when it is tried again after a failure, nothing stands there twice.
      const edited = plan.update
        ? await call('editMessageText', { ...common, message_id: first, text: renderTelegram(notice, options) })
        : undefined
      const result = await call('sendMessage', {
        ...common,
        text: renderTelegram(notice, { ...options, brief: edited?.done === true }),
        ...(first === undefined ? {} : { reply_parameters: { message_id: first, allow_sending_without_reply: true } }),
        ...(notice.kind === 'acknowledged' || notice.kind === 'digest' || notice.kind === 'success'
          ? { disable_notification: true }
          : {}),
      })
      if (result.id === undefined) throw strangeAnswer(PEER)
      return makeReceipt(channel, notice, {
        at: now(),
        message: String(result.id),
        first: String(edited?.done === false ? result.id : (first ?? result.id)),
        place: config.chat,
      })
    },
  }
}

interface TelegramAnswer {
  /** False when the message to edit is not there any more. */
  readonly done: boolean
  readonly id?: number | undefined
}

interface CallerOptions {
  readonly token: string
  readonly options: SendOptions
  readonly surroundings: ChannelSurroundings
}

function caller(config: TelegramConfig, { token, options, surroundings }: CallerOptions) {
  const secrets = [token]
  const server = (config.server ?? 'https://api.telegram.org').replace(/\/+$/, '')
  const post = beginPosting({ peer: PEER, secrets, surroundings, options })
  return async (method: 'sendMessage' | 'editMessageText', body: object): Promise<TelegramAnswer> => {
    const answer = await post(`${server}/bot${token}/${method}`, { body })
    const known = method === 'editMessageText' ? readEditRefusal(answer) : undefined
    if (known) return known
    assertSuccess(answer, {
      peer: PEER,
      secrets,
      now: surroundings.now(),
      deniedHint: answer.status === 401 ? TOKEN_HINT : CHAT_HINT,
      missingHint: TOKEN_HINT,
      refusedHint: CHAT_HINT,
    })
    const said = parseObject(answer.text)
    if (said?.ok !== true) throw strangeAnswer(PEER)
    const { result } = said
    const id = typeof result === 'object' && result !== null && 'message_id' in result ? result.message_id : undefined
    return { done: true, id: typeof id === 'number' ? id : undefined }
  }
}

/** Telegram has words for these, and no numbers. */
function readEditRefusal({ status, text }: HttpAnswer): TelegramAnswer | undefined {
  if (status !== 400) return undefined
  const description = String(parseObject(text)?.description)
  if (description.includes('message is not modified')) return { done: true }
  return /message to edit not found|message can't be edited|MESSAGE_ID_INVALID/.test(description)
    ? { done: false }
    : undefined
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
