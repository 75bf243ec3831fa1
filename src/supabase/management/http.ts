/** Calls of the Management API: the token, limits of rate and time, repeats where they are safe, answers checked by shape. */
import { sleep } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { assertAddress, assertHeaderSafe, type ExchangeAnswer, exchange, type Fetch } from '../exchange.ts'
import type { Shape } from '../shape.ts'
import { errorOfAnswer, planRetry, readRateLimit } from './answers.ts'

const MANAGEMENT_URL = 'https://api.supabase.com'
const PEER = "Supabase's Management API"

export interface ManagementOptions {
  /** A personal access token; a scoped one with `database:read`, `projects:read` and `organizations:read` is enough for reports. */
  readonly token: string
  /** Default `https://api.supabase.com`. */
  readonly url?: string | undefined
  /** Default the platform's. */
  readonly fetch?: Fetch | undefined
  /** For one attempt; default 15 000. */
  readonly timeoutMs?: number | undefined
  /** Attempts of a call that may be repeated, the first included; default 3. */
  readonly maxAttempts?: number | undefined
  /** The longest single wait for a limit of rate to pass; default 65 000. Beyond it the call fails at once. */
  readonly maxWaitMs?: number | undefined
  readonly clock?: Clock | undefined
  /** How waiting is done; for tests. */
  readonly sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface Call<T> extends CallOptions {
  readonly method: 'GET' | 'POST' | 'PATCH'
  /** Below the address, such as `/v1/projects`. */
  readonly path: string
  readonly query?: readonly [name: string, value: string][] | undefined
  readonly body?: unknown
  readonly shape: Shape<T>
  /** For a POST that changes nothing; a GET never does. */
  readonly repeatable?: boolean | undefined
}

type Attempt<T> = { readonly value: T } | { readonly error: RetakeError; readonly rateLimitMs: number | undefined }

export class ManagementHttp {
  readonly #token: string
  readonly #url: string
  readonly #fetch: Fetch
  readonly #clock: Clock
  readonly #sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly #limits: { readonly timeoutMs: number; readonly maxAttempts: number; readonly maxWaitMs: number }
  /** By call: until when (monotonic) the API wants no more of it. */
  readonly #blockedUntil = new Map<string, number>()

  /** @throws RetakeError `config.invalid` */
  constructor(options: ManagementOptions) {
    this.#token = assertHeaderSafe(options.token, 'The management token')
    this.#url = assertAddress(options.url ?? MANAGEMENT_URL, 'The address of the Management API')
    // Called as a method of something else, the platform's fetch refuses to work.
    this.#fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init))
    this.#clock = options.clock ?? systemClock
    this.#sleep = options.sleep ?? sleep
    this.#limits = {
      timeoutMs: options.timeoutMs ?? 15_000,
      maxAttempts: options.maxAttempts ?? 3,
      maxWaitMs: options.maxWaitMs ?? 65_000,
    }
  }

  /**
   * Makes a call, and makes it again where that is safe and may help.
   * @throws RetakeError `supabase.*`, `timeout`, `aborted`
   */
  async call<T>(call: Call<T>): Promise<T> {
    const repeatable = call.method === 'GET' || call.repeatable === true
    for (let attempt = 1; ; attempt++) {
      await this.#awaitTurn(call)
      const outcome = await this.#attempt(call)
      if ('value' in outcome) return outcome.value
      const waitMs = planRetry({ ...outcome, ...this.#limits, attempt, repeatable })
      if (waitMs === undefined) throw outcome.error
      await this.#sleep(waitMs, call.signal)
    }
  }

  /** Keeps to a limit that an earlier answer told, instead of running into it. */
  async #awaitTurn(call: Call<unknown>): Promise<void> {
    const key = nameOf(call)
    const waitMs = (this.#blockedUntil.get(key) ?? 0) - this.#clock.monotonicMs()
    if (waitMs <= 0) {
      this.#blockedUntil.delete(key)
      return
    }
    if (waitMs > this.#limits.maxWaitMs) {
      throw new RetakeError(
        'supabase.rate-limited',
        `${key}: the API wants no more of these for ${Math.ceil(waitMs / 1000)} s.`,
      )
    }
    await this.#sleep(waitMs, call.signal)
  }

  async #attempt<T>(call: Call<T>): Promise<Attempt<T>> {
    let answer: ExchangeAnswer
    try {
      answer = await this.#send(call)
    } catch (error) {
      if (!isRetakeError(error) || error.code === 'aborted') throw error
      return { error, rateLimitMs: undefined }
    }
    const rateLimitMs = readRateLimit(answer)
    if (rateLimitMs !== undefined) this.#blockedUntil.set(nameOf(call), this.#clock.monotonicMs() + rateLimitMs)
    const isSuccess = answer.status >= 200 && answer.status < 300
    if (isSuccess) return { value: readBody(answer.text, call) }
    return { error: errorOfAnswer(answer, { call: nameOf(call), secrets: [this.#token] }), rateLimitMs }
  }

  #send(call: Call<unknown>): Promise<ExchangeAnswer> {
    const query = new URLSearchParams(call.query ?? []).toString()
    return exchange({
      url: `${this.#url}${call.path}${query === '' ? '' : `?${query}`}`,
      method: call.method,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${this.#token}`,
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      fetch: this.#fetch,
      timeoutMs: this.#limits.timeoutMs,
      signal: call.signal,
      peer: PEER,
      secrets: [this.#token],
    })
  }
}

const nameOf = ({ method, path }: Pick<Call<unknown>, 'method' | 'path'>) => `${method} ${path}`

/** An empty body is null. */
function readBody<T>(text: string, call: Call<T>): T {
  let body: unknown = null
  if (text.trim() !== '') {
    try {
      body = JSON.parse(text)
    } catch {
      const what = text.trimStart().startsWith('<') ? 'an HTML page' : 'something that is not JSON'
      throw new RetakeError('supabase.protocol', `${nameOf(call)} was answered with ${what}.`, {
        hint: 'Something between here and Supabase (a proxy, a login page) may have answered in its place.',
      })
    }
  }
  try {
    return call.shape(body, 'the answer')
  } catch (error) {
    if (!isRetakeError(error, 'supabase.protocol')) throw error
    throw new RetakeError('supabase.protocol', `${nameOf(call)}: ${error.message}`, {
      hint: 'The API may have changed; a newer Retake may know its new form.',
    })
  }
}
