/**
 * One request to the storage: a time limit for each attempt, so that a half-open connection never hangs, and further attempts
 * for what may pass. The SDK's own retries are off: they hide that an attempt whose answer was lost may have been carried out.
 */
import { randomInt } from 'node:crypto'
import type { S3 } from '@aws-sdk/client-s3'
import { type FailureKind, kindOfFailure, mayPass, RequestTimedOut, type S3Failure, s3Error } from './s3-failure.ts'

export interface RequestLimits {
  /** For an answer to a request without a body, and between two pieces of an answer. */
  readonly answerMs: number
  /** A body is given as much time as it takes at this rate, besides. */
  readonly leastBytesPerSecond: number
  /** How long a request is tried again while the storage has answered before in this process. */
  readonly patienceMs: number
  /** The same before its first answer: more likely a wrong address than an outage. */
  readonly firstPatienceMs: number
  /** Of the first pause; each further one is twice as long, up to {@link longestPauseMs}. */
  readonly pauseMs: number
  readonly longestPauseMs: number
}

export const DEFAULT_LIMITS: RequestLimits = {
  answerMs: 20_000,
  leastBytesPerSecond: 64 * 1024,
  patienceMs: 120_000,
  firstPatienceMs: 10_000,
  pauseMs: 100,
  longestPauseMs: 10_000,
}

export interface S3Request extends Omit<S3Failure, 'url' | 'bucket'> {
  /** Sent, or expected in the answer. Default 0. */
  readonly bodyBytes?: number | undefined
  /** Instead of the limit for all requests: how long it is tried again, and how long one attempt may take. */
  readonly patienceMs?: number | undefined
}

export interface Attempt {
  readonly client: S3
  readonly signal: AbortSignal
  /** Something came: the time limit begins anew. */
  readonly alive: () => void
}

/** The answer, or the failure of the last attempt when its kind is one that the caller has a use for. */
export type Outcome<T, K extends FailureKind> = { readonly value: T } | { readonly failed: K }

export interface RequestsOptions {
  readonly client: S3
  readonly url: string
  readonly bucket: string
  readonly limits: RequestLimits
  /** From 0 to 1. */
  readonly random?: (() => number) | undefined
}

export class S3Requests {
  readonly #options: RequestsOptions
  #hasAnswered = false

  constructor(options: RequestsOptions) {
    this.#options = options
  }

  /** @throws RetakeError `storage.*`, `repo.missing`, `config.invalid` */
  async run<T>(request: S3Request, send: (attempt: Attempt) => Promise<T>): Promise<T> {
    const outcome = await this.expect<T, never>(request, { expected: [], send })
    if ('value' in outcome) return outcome.value
    throw outcome.failed
  }

  /** As {@link run}, but failures of the expected kinds are a result. */
  async expect<T, K extends FailureKind>(
    request: S3Request,
    options: { readonly expected: readonly K[]; readonly send: (attempt: Attempt) => Promise<T> },
  ): Promise<Outcome<T, K>> {
    const { url, bucket, limits } = this.#options
    const begunMs = performance.now()
    for (let failures = 0; ; ) {
      try {
        const value = await this.#attempt(request, options.send)
        this.#hasAnswered = true
        return { value }
      } catch (error) {
        const kind = kindOfFailure(error)
        if (kind !== 'unreachable' && kind !== 'tls') this.#hasAnswered = true
        const expected = options.expected.find((candidate) => candidate === kind)
        if (expected !== undefined) return { failed: expected }
        failures += 1
        const pauseMs = pauseAfter(failures, { kind, limits, random: this.#options.random ?? chance })
        const patienceMs = request.patienceMs ?? (this.#hasAnswered ? limits.patienceMs : limits.firstPatienceMs)
        const isOver = performance.now() + pauseMs - begunMs > patienceMs
        if (!mayPass(kind) || isOver) throw s3Error(error, { ...request, url, bucket })
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }

  async #attempt<T>(request: S3Request, send: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { client, limits } = this.#options
    const bodyMs = ((request.bodyBytes ?? 0) / limits.leastBytesPerSecond) * 1000
    const limitMs = Math.min(limits.answerMs + bodyMs, request.patienceMs ?? Number.POSITIVE_INFINITY)
    const controller = new AbortController()
    const ended = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const error = new RequestTimedOut(`no answer within ${Math.round(limitMs / 1000)} s`)
      controller.abort(error)
      ended.reject(error)
    }, limitMs)
    try {
      const sent = send({ client, signal: controller.signal, alive: () => timer.refresh() })
      // Whether the SDK heeds the signal everywhere must not decide whether we hang.
      sent.catch(() => {})
      return await Promise.race([sent, ended.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** From 0 to 1. */
function chance(): number {
  return randomInt(0, 1_000_000) / 1_000_000
}

/** Twice as long each time, half of it by chance, so that many clients do not come back together; more when throttled. */
export function pauseAfter(
  failures: number,
  options: { readonly kind: FailureKind; readonly limits: RequestLimits; readonly random: () => number },
): number {
  const { kind, limits, random } = options
  const first = kind === 'throttled' ? limits.pauseMs * 5 : limits.pauseMs
  const longest = Math.min(limits.longestPauseMs, first * 2 ** Math.min(failures - 1, 20))
  return longest * (0.5 + random() / 2)
}
