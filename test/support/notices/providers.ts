/**
 * Services as their documentation describes them: what they require, their limits, their answers to what they do not take, and what people
 * see afterwards. They know nothing of our code.
 */
import type { Recorded, Reply } from './endpoint.ts'

type Json = Readonly<Record<string, unknown>>

export interface SeenMessage {
  readonly id: string
  content: Json
  readonly thread?: string | undefined
  readonly loud: boolean
}

const parse = (body: string): Json => JSON.parse(body) as Json
const isText = (value: unknown, limit: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= limit && value.isWellFormed()

/** https://docs.slack.dev/reference/methods/chat.postMessage, /chat.update */
export function slackApi(token: string) {
  const messages = new Map<string, SeenMessage>()
  const handle = (request: Recorded): Reply => {
    const refuse = (error: string): Reply => ({ status: 200, body: { ok: false, error } })
    if (request.method !== 'POST') return refuse('invalid_post_type')
    if (request.headers.authorization !== `Bearer ${token}`) return refuse('invalid_auth')
    if (!request.headers['content-type']?.startsWith('application/json')) return refuse('invalid_post_type')
    const body = parse(request.body)
    if (!Array.isArray(body.blocks) || body.blocks.length > 50) return refuse('invalid_blocks')
    if (JSON.stringify(body.blocks).length > 13_200) return refuse('msg_blocks_too_long')
    if (!isText(body.text, 40_000)) return refuse('no_text')
    if (request.path === '/chat.update') {
      // An update wants the channel's id; a name is not found.
      const old = messages.get(String(body.ts))
      if (body.channel !== 'C0123456789') return refuse('channel_not_found')
      if (!old) return refuse('message_not_found')
      old.content = body
      return { status: 200, body: { ok: true, channel: body.channel, ts: old.id, text: body.text } }
    }
    if (request.path !== '/chat.postMessage') return refuse('unknown_method')
    if (body.channel !== 'C0123456789' && body.channel !== 'ops') return refuse('channel_not_found')
    const id = `1700000000.${String(messages.size + 1).padStart(6, '0')}`
    const thread = typeof body.thread_ts === 'string' ? body.thread_ts : undefined
    messages.set(id, { id, content: body, thread, loud: thread === undefined || body.reply_broadcast === true })
    return { status: 200, body: { ok: true, channel: 'C0123456789', ts: id } }
  }
  return { handle, messages }
}

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export function slackWebhook() {
  const messages: Json[] = []
  const handle = (request: Recorded): Reply => {
    const body = parse(request.body)
    if (!isText(body.text, 40_000) || !Array.isArray(body.blocks)) return { status: 400, body: 'invalid_payload' }
    messages.push(body)
    return { status: 200, body: 'ok' }
  }
  return { handle, messages }
}

/** https://discord.com/developers/docs/resources/webhook#execute-webhook */
export function discordApi() {
  const messages = new Map<string, SeenMessage>()
  const handle = (request: Recorded): Reply => {
    const body = parse(request.body)
    if (!takesEmbeds(body)) return { status: 400, body: { message: 'Invalid Form Body', code: 50035 } }
    const edited = /\/messages\/(\w+)$/.exec(request.path)?.[1]
    if (request.method === 'PATCH') {
      const old = messages.get(edited ?? '')
      if (!old) return { status: 404, body: { message: 'Unknown Message', code: 10008 } }
      old.content = body
      return { status: 200, body: { id: old.id } }
    }
    const id = String(1_000_000_000_000_000_000n + BigInt(messages.size))
    messages.set(id, { id, content: body, loud: true })
    return request.query.get('wait') === 'true' ? { status: 200, body: { id } } : { status: 204 }
  }
  return { handle, messages }
}

function takesEmbeds({ embeds, allowed_mentions: mentions }: Json): boolean {
  if (!Array.isArray(embeds) || embeds.length !== 1 || JSON.stringify(mentions) !== '{"parse":[]}') return false
  const {
    title,
    description = '-',
    footer,
    color,
  } = embeds[0] as { title: unknown; description?: unknown; footer: { text: unknown }; color: unknown }
  if (!isText(title, 256) || !isText(description, 4096) || !isText(footer.text, 2048)) return false
  return title.length + description.length + footer.text.length <= 6000 && Number.isInteger(color)
}

/** A workflow that posts each attachment of a message; nothing is answered but that it was accepted. */
export function teamsWorkflow() {
  const cards: Json[] = []
  const handle = (request: Recorded): Reply => {
    if (Buffer.byteLength(request.body) > 28 * 1024)
      return { status: 413, body: { error: { code: 'RequestEntityTooLarge' } } }
    const { type, attachments } = parse(request.body) as {
      type: unknown
      attachments: { contentType: unknown; content: Json }[]
    }
    const [card] = attachments
    const isCard =
      card?.contentType === 'application/vnd.microsoft.card.adaptive' && card.content.type === 'AdaptiveCard'
    if (type !== 'message' || !isCard || !Array.isArray(card.content.body))
      return { status: 400, body: { error: { code: 'InvalidRequestContent' } } }
    cards.push(card.content)
    return { status: 202 }
  }
  return { handle, cards }
}

export interface SeenIncident {
  status: 'triggered' | 'acknowledged' | 'resolved'
  readonly severity: string
  readonly summary: string
}

/** https://developer.pagerduty.com/docs/events-api-v2-overview */
export function pagerDuty(routingKey: string) {
  const incidents = new Map<string, SeenIncident>()
  const changes: Json[] = []
  const handle = (request: Recorded): Reply => {
    const bad = (error: string): Reply => ({
      status: 400,
      body: { status: 'invalid event', message: 'Event object is invalid', errors: [error] },
    })
    const event = parse(request.body)
    if (Buffer.byteLength(request.body) > 512 * 1024) return { status: 413 }
    if (event.routing_key !== routingKey) return bad("'routing_key' is invalid")
    const payload = event.payload as Json | undefined
    if (payload && !(isText(payload.summary, 1024) && isText(payload.source, 1024))) return bad("'payload' is invalid")
    if (request.path === '/v2/change/enqueue') {
      if (!payload) return bad("'payload' is missing")
      changes.push(payload)
      return { status: 202, body: { status: 'success', message: 'Change event processed' } }
    }
    const { dedup_key: key, event_action: action } = event
    if (request.path !== '/v2/enqueue') return { status: 404 }
    if (!isText(key, 255)) return bad("'dedup_key' is invalid")
    const known = incidents.get(key)
    if (action === 'trigger') {
      if (!payload || !['critical', 'error', 'warning', 'info'].includes(String(payload.severity)))
        return bad("'payload.severity' is invalid")
      if (!known)
        incidents.set(key, {
          status: 'triggered',
          severity: String(payload.severity),
          summary: String(payload.summary),
        })
    } else if (action === 'acknowledge' || action === 'resolve') {
      if (known) known.status = action === 'resolve' ? 'resolved' : 'acknowledged'
    } else return bad("'event_action' is invalid")
    return { status: 202, body: { status: 'success', message: 'Event processed', dedup_key: key } }
  }
  return { handle, incidents, changes }
}

/** https://docs.ntfy.sh/publish/#publish-as-json */
export function ntfyServer(topic: string, token?: string) {
  const messages: Json[] = []
  const handle = (request: Recorded): Reply => {
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      return { status: 403, body: { code: 40301, http: 403, error: 'forbidden' } }
    }
    const body = parse(request.body)
    if (request.path !== '/' || body.topic !== topic)
      return { status: 404, body: { code: 40401, http: 404, error: 'page not found' } }
    if (Buffer.byteLength(String(body.message)) > 4096)
      return { status: 413, body: { code: 41301, http: 413, error: 'attachment too large' } }
    if (![1, 2, 3, 4, 5].includes(Number(body.priority)))
      return { status: 400, body: { code: 40007, http: 400, error: 'invalid priority' } }
    messages.push(body)
    return { status: 200, body: { id: `m${messages.length}`, time: 1, event: 'message', topic, message: body.message } }
  }
  return { handle, messages }
}

/** https://core.telegram.org/bots/api#sendmessage, #editmessagetext */
export function telegramApi(token: string, chat: string) {
  const messages = new Map<number, SeenMessage>()
  const handle = (request: Recorded): Reply => {
    const refuse = (status: number, description: string): Reply => ({
      status,
      body: { ok: false, error_code: status, description },
    })
    const [, given, method] = /^\/bot([^/]+)\/(\w+)$/.exec(request.path) ?? []
    if (given !== token) return refuse(401, 'Unauthorized')
    const body = parse(request.body)
    if (body.chat_id !== chat) return refuse(400, 'Bad Request: chat not found')
    if (!isText(body.text, 4096)) return refuse(400, 'Bad Request: message is too long')
    if (/<(?!\/?(?:b|i|a)\b)/.test(String(body.text))) return refuse(400, "Bad Request: can't parse entities")
    if (method === 'editMessageText') {
      const old = messages.get(Number(body.message_id))
      if (!old) return refuse(400, 'Bad Request: message to edit not found')
      if (old.content.text === body.text)
        return refuse(400, 'Bad Request: message is not modified: specified new message content is the same')
      old.content = body
      return { status: 200, body: { ok: true, result: { message_id: Number(old.id) } } }
    }
    if (method !== 'sendMessage') return refuse(404, 'Not Found')
    const id = messages.size + 41
    const thread = (body.reply_parameters as { message_id?: number } | undefined)?.message_id
    messages.set(id, {
      id: String(id),
      content: body,
      thread: thread?.toString(),
      loud: body.disable_notification !== true,
    })
    return { status: 200, body: { ok: true, result: { message_id: id } } }
  }
  return { handle, messages }
}
