/** What a failed delivery means: whether it may be tried again, and when. Pure. */
import type { ErrorCode } from '../../base/error-codes.ts'
import { RetakeError } from '../../base/errors.ts'

/** A failed delivery as plain data, for an outbox. */
export interface DeliveryFailure {
  readonly code: ErrorCode
  /** A sentence for people, without secrets. */
  readonly message: string
  /** The next step. */
  readonly hint?: string | undefined
  /** False when something must be changed first. */
  readonly mayRetry: boolean
  /** How long the other side wants to be left alone. */
  readonly retryAfterMs?: number | undefined
}

export function failureOf(error: RetakeError): DeliveryFailure {
  const { retryAfterMs } = error.details
  return {
    code: error.code,
    message: error.message,
    hint: error.hint,
    mayRetry: error.retry !== 'never',
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
  }
}

export interface StatusFailureOptions {
  /** Who answered: `Slack`, `the webhook at hooks.example.org`. */
  readonly peer: string
  readonly status: number
  /** What it said, without secrets; empty when nothing can be quoted. */
  readonly said: string
  readonly retryAfterMs?: number | undefined
  /** What to do when the credential is not accepted. */
  readonly deniedHint: string
  /** What to do when the place is not there any more. */
  readonly missingHint: string
  /** What to do when what was sent is not accepted. Default: check the address. */
  readonly refusedHint?: string | undefined
}

const CHECK_ADDRESS = 'Check the address in the configuration of the channel, then test the channel.'

/** An HTTP status that is not one of success. */
export function statusFailure(options: StatusFailureOptions): RetakeError {
  const { peer, status, said, retryAfterMs } = options
  const answer = `${peer} answered with status ${status}${said === '' ? '' : ` (${said})`}`
  const details = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  if (status === 429) {
    return new RetakeError('notice.rate-limited', `${answer}: it wants fewer notices; this one has not arrived.`, {
      details,
    })
  }
  if (status === 408 || status === 425 || status >= 500) {
    return new RetakeError('notice.failed', `${answer}; the notice has not arrived, as far as is known.`, { details })
  }
  if (status === 401 || status === 403 || status === 407) {
    return new RetakeError('notice.denied', `${answer}; the notice was not accepted.`, {
      hint: options.deniedHint,
      details,
    })
  }
  if (status === 404 || status === 410) {
    return new RetakeError('notice.refused', `${answer}; the notice was not accepted.`, {
      hint: options.missingHint,
      details,
    })
  }
  if (status >= 300 && status < 400) {
    return new RetakeError(
      'notice.refused',
      `${answer}, which leads elsewhere; a notice is not sent to another place than the configured one.`,
      { hint: CHECK_ADDRESS, details },
    )
  }
  const hint = options.refusedHint ?? CHECK_ADDRESS
  return new RetakeError('notice.refused', `${answer}; the notice was not accepted.`, { hint, details })
}

const LONGEST_WAIT_MS = 24 * 60 * 60_000

/** `Retry-After`: seconds or a date (RFC 9110 section 10.2.3). What cannot be read, or is beyond a day, is not believed. */
export function readRetryAfterMs(value: string | null, now: Date): number | undefined {
  if (value === null) return undefined
  const text = value.trim()
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now.getTime()
  if (!Number.isFinite(ms) || ms > LONGEST_WAIT_MS) return undefined
  return Math.max(0, Math.ceil(ms))
}
