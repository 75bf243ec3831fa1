/** What an answer of the Management API means. Pure: status, headers and text in, an error or a waiting time out. */
import type { ErrorCode } from '../../base/error-codes.ts'
import { RetakeError } from '../../base/errors.ts'
import { type ExchangeAnswer, redact } from '../exchange.ts'

/** The API's window for its limits: whoever is refused without being told for how long waits for one window. */
const RATE_WINDOW_MS = 60_000

/** The longest text of the other side that goes into a message of ours. */
const MAXIMUM_QUOTE = 300

/** How long nothing more may be asked here; undefined when there is no limit in sight. `x-ratelimit-reset` is in seconds from now. */
export function readRateLimit({ status, headers }: Pick<ExchangeAnswer, 'status' | 'headers'>): number | undefined {
  const reset = Number(headers.get('x-ratelimit-reset') ?? headers.get('retry-after') ?? Number.NaN)
  const resetMs = Number.isFinite(reset) && reset >= 0 ? reset * 1000 : undefined
  if (status === 429) return resetMs ?? RATE_WINDOW_MS
  return headers.get('x-ratelimit-remaining')?.trim() === '0' ? resetMs : undefined
}

/** The error that an answer other than 2xx is. The body may be JSON of any shape, HTML of something in between, or nothing. */
export function errorOfAnswer(
  { status, text }: Pick<ExchangeAnswer, 'status' | 'text'>,
  { call, secrets }: { readonly call: string; readonly secrets: readonly string[] },
): RetakeError {
  const [code, meaning, hint] = meaningOf(status)
  // Before it is cut short, so that no half of a secret is left over.
  const said = quoteBody(redact(text, secrets))
  return new RetakeError(code, `${call}: ${meaning} (${status})${said === '' ? '.' : `: ${said}`}`, {
    hint,
    details: { status },
  })
}

function meaningOf(status: number): readonly [code: ErrorCode, meaning: string, hint: string | undefined] {
  switch (status) {
    case 401:
      return [
        'supabase.denied',
        'the access token was not accepted',
        'Make a token at https://supabase.com/dashboard/account/tokens.',
      ]
    case 402:
      return ['supabase.plan', "the organization's plan does not include this", undefined]
    case 403:
      return [
        'supabase.denied',
        'the access token does not allow this',
        'Give the token the permission, or use one of a member who has it.',
      ]
    case 404:
      return ['supabase.missing', 'there is no such thing, or the token may not see it', 'Check the project reference.']
    case 429:
      return ['supabase.rate-limited', 'too many requests', 'Ask less often: 120 a minute for each call and project.']
    default:
      if (status >= 500) return ['supabase.failed', 'Supabase failed', 'Look at https://status.supabase.com.']
      if (status >= 400) return ['supabase.refused', 'refused', undefined]
      return ['supabase.protocol', 'an answer that this call does not have', undefined]
  }
}

/** The sentence in a body: `message` of JSON, the title of a page, else its beginning. */
export function quoteBody(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const sentence = sentenceOfJson(trimmed) ?? titleOfPage(trimmed) ?? trimmed
  const line = sentence.replaceAll(/\s+/g, ' ').trim()
  return line.length > MAXIMUM_QUOTE ? `${line.slice(0, MAXIMUM_QUOTE)}…` : line
}

function sentenceOfJson(text: string): string | undefined {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof body === 'string') return body
  if (typeof body !== 'object' || body === null) return undefined
  const fields = body as Readonly<Record<string, unknown>>
  for (const name of ['message', 'msg', 'error_description', 'error']) {
    const value = fields[name]
    if (typeof value === 'string') return value
    // Validation errors came as a list of sentences, and wrapped in an object of their own.
    if (Array.isArray(value)) return value.filter((item) => typeof item === 'string').join('; ')
    if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string')
      return value.message
  }
  return undefined
}

function titleOfPage(text: string): string | undefined {
  if (!/^<(?:!doctype|html|\?xml|head|body)/i.test(text)) return undefined
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1]?.trim()
  return `an HTML page${title ? ` titled "${title}"` : ''}`
}

export interface RetryFacts {
  readonly error: RetakeError
  /** Of the answer, when the limit is what stopped it. */
  readonly rateLimitMs: number | undefined
  /** Counted from 1. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Doing it twice is the same as doing it once. */
  readonly repeatable: boolean
  readonly maxWaitMs: number
}

/**
 * How long to wait before asking again; undefined: not again. What was refused for the rate was not carried out, so that is
 * repeated for every call; anything else only for calls that change nothing.
 */
export function planRetry(facts: RetryFacts): number | undefined {
  const { error, attempt, maxAttempts, repeatable, rateLimitMs, maxWaitMs } = facts
  if (attempt >= maxAttempts) return undefined
  if (error.code === 'supabase.rate-limited') {
    const waitMs = rateLimitMs ?? RATE_WINDOW_MS
    return waitMs <= maxWaitMs ? waitMs : undefined
  }
  if (!repeatable || error.retry === 'never' || error.code === 'aborted') return undefined
  return Math.min(500 * 2 ** (attempt - 1), maxWaitMs)
}
