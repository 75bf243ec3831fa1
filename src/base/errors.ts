import { type ErrorCode, errorCodes, type RetryAdvice } from './error-codes.ts'

const brand = Symbol.for('retake.error')

export interface RetakeErrorOptions {
  /** The next step, as an imperative sentence; printed on a line of its own. */
  readonly hint?: string | undefined
  /** Facts for machines. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly cause?: unknown
  readonly retry?: RetryAdvice | undefined
}

/**
 * The one error class of Retake: a readable code, a sentence that says what failed and what it means for recoverability,
 * and the exact next step. Recognise it with {@link isRetakeError}, which also works across copies of the package.
 */
export class RetakeError extends Error {
  override readonly name = 'RetakeError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly retry: RetryAdvice
  readonly details: Readonly<Record<string, unknown>>
  readonly [brand] = true

  constructor(code: ErrorCode, message: string, options: RetakeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.retry = options.retry ?? errorCodes[code].retry
    this.details = options.details ?? {}
  }

  /** The exit status of the command line for this error. */
  get exitCode(): number {
    return errorCodes[this.code].exit
  }

  /** Plain data for `--json`, logs and messages between threads; {@link reviveError} is the way back. */
  toJSON(): SerializedError {
    return { code: this.code, message: this.message, hint: this.hint, retry: this.retry, details: this.details }
  }
}

export interface SerializedError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string | undefined
  readonly retry: RetryAdvice
  readonly details: Readonly<Record<string, unknown>>
}

export function isRetakeError(value: unknown, code?: ErrorCode): value is RetakeError {
  return value instanceof Error && brand in value && (code === undefined || (value as RetakeError).code === code)
}

/** Makes any thrown value a RetakeError; what is already one stays as it is. */
export function toRetakeError(value: unknown, code: ErrorCode = 'internal'): RetakeError {
  if (isRetakeError(value)) return value
  if (value instanceof Error && value.name === 'AbortError') return abortedError(value)
  return new RetakeError(code, value instanceof Error ? value.message : String(value), { cause: value })
}

export function reviveError(data: SerializedError): RetakeError {
  return new RetakeError(data.code, data.message, { hint: data.hint, retry: data.retry, details: data.details })
}

export function abortedError(cause?: unknown): RetakeError {
  return new RetakeError('aborted', 'Stopped on request. Nothing half-written is visible in the repository.', { cause })
}

/** For what cannot happen: a broken assumption of our own, not of the outside world. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** The `code` of a Node system error (`ENOENT`, `ENOSPC`, …), if it is one. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
