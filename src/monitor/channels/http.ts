/**
 * One HTTP exchange with a channel's other side: time-limited to the last byte, abortable, bounded. The address of a webhook is its
 * secret, so a message names the host only, and what the other side said is quoted with every secret blanked out.
 */

import { throwIfAborted } from '../../base/abort.ts'
import { attempt } from '../../base/attempt.ts'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { readRetryAfterMs, statusFailure } from './failure.ts'

/** The `fetch` of the platform, or one that is passed in. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface HttpRequest {
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PATCH' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  readonly fetch: Fetch
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Who is asked, for messages: `Slack`. */
  readonly peer: string
  /** Texts that must not appear in a message. */
  readonly secrets: readonly string[]
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  /** The beginning of what was said. */
  readonly text: string
}

const MAXIMUM_ANSWER_BYTES = 64 * 1024
const MAXIMUM_QUOTE = 200

/**
 * Sends once and reads the answer. Redirects are not followed: a secret must not travel to another place.
 * @throws RetakeError `timeout`, `notice.unreachable`, `aborted`
 */
export async function exchangeHttp(request: HttpRequest): Promise<HttpAnswer> {
  const { peer, timeoutMs, signal } = request
  throwIfAborted(signal)
  const outcome = await attempt((limit) => ask(request, limit), {
    limitMs: timeoutMs,
    what: peer,
    hint: 'It must be reachable from this machine. Whether the notice arrived is not known.',
    signal,
  })
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

async function ask(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const body = request.body === undefined ? {} : { body: request.body }
  try {
    const response = await request.fetch(request.url, {
      method: request.method ?? 'POST',
      headers: { 'user-agent': 'retake', ...request.headers },
      redirect: 'manual',
      signal,
      ...body,
    })
    return { status: response.status, headers: response.headers, text: await readBeginning(response) }
  } catch (error) {
    const why = systemErrorCode(error) ?? systemErrorCode(error instanceof Error ? error.cause : undefined)
    // The text of the platform's error may repeat the address; its code does not.
    throw new RetakeError('notice.unreachable', `${request.peer} could not be reached${why ? ` (${why})` : ''}.`, {
      hint: 'Check the network, the address and any proxy of this machine.',
    })
  }
}

async function readBeginning(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (!reader) return ''
  const decoder = new TextDecoder()
  let text = ''
  let sizeBytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    sizeBytes += value.length
    text += decoder.decode(value, { stream: true })
    if (sizeBytes <= MAXIMUM_ANSWER_BYTES) continue
    await reader.cancel()
    return text
  }
}

export interface JudgeOptions {
  readonly peer: string
  readonly secrets: readonly string[]
  readonly now: Date
  readonly deniedHint: string
  readonly missingHint: string
  readonly refusedHint?: string | undefined
}

/** @throws RetakeError when the status is not one of success */
export function assertSuccess(answer: HttpAnswer, options: JudgeOptions): void {
  const { status, headers, text } = answer
  if (status >= 200 && status < 300) return
  throw statusFailure({
    ...options,
    status,
    said: quote(text, options.secrets),
    retryAfterMs: retryAfterOf(headers, text, options.now),
  })
}

/** From the header, or as Discord and Telegram say it in the body. */
function retryAfterOf(headers: Headers, text: string, now: Date): number | undefined {
  const fromHeader = readRetryAfterMs(headers.get('retry-after'), now)
  if (fromHeader !== undefined) return fromHeader
  const body = parseObject(text)
  const parameters = body?.parameters
  const nested =
    typeof parameters === 'object' && parameters !== null && 'retry_after' in parameters
      ? parameters.retry_after
      : undefined
  const seconds = body?.retry_after ?? nested
  return typeof seconds === 'number' ? readRetryAfterMs(String(seconds), now) : undefined
}

/** The answer of an API that speaks JSON; undefined when something else answered, such as a proxy with a page of its own. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** It answered with success, but not as its interface does: something in between may have answered. */
export function strangeAnswer(peer: string): RetakeError {
  return new RetakeError(
    'notice.failed',
    `${peer} answered in a way that its interface does not; whether the notice arrived is not known.`,
    { hint: 'Look for a proxy or a login page between this machine and the service, and check the address.' },
  )
}

/** A short piece of what was said: without markup of a page, without secrets, on one line. */
export function quote(text: string, secrets: readonly string[]): string {
  if (/^\s*</.test(text)) return 'a page of HTML'
  const plain = redact(text, secrets)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
  return plain.length <= MAXIMUM_QUOTE ? plain : `${plain.slice(0, MAXIMUM_QUOTE).toWellFormed()}…`
}

/** Blanks out every secret, also percent-encoded and as JSON writes it. */
export function redact(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter((secret) => secret.length >= 4)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
      secret.replaceAll('/', '\\/'),
    ])
  return forms.reduce((rest, form) => rest.replaceAll(form, '…'), text)
}

/** What of a webhook's address is secret: all that follows the host. */
export function secretsOfAddress(address: string): readonly string[] {
  const url = new URL(address)
  const path = url.pathname.replace(/\/+$/, '')
  const parts = path.split('/').filter((part) => part.length >= 12)
  return [address, `${path}${url.search}`, path, ...parts, ...url.searchParams.values()].filter(
    (text) => text.length >= 4,
  )
}
