/** One HTTP exchange with nothing but `fetch`: time-limited to the last byte, abortable, bounded, and no secret in what it throws. */
import { throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'

/** The `fetch` of the platform, or one that is passed in. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface ExchangeRequest {
  readonly url: string
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly fetch: Fetch
  /** For the whole exchange, body included. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Who is asked, for messages: `Supabase's Management API`. */
  readonly peer: string
  /** Texts that must not appear in a message. */
  readonly secrets: readonly string[]
}

export interface ExchangeAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Far more than any answer that is asked for; a peer that sends without end is cut off. */
const MAXIMUM_CHARACTERS = 16 * 1024 * 1024

/**
 * Asks once and reads the whole answer. Redirects are not followed: a credential must not travel to another place.
 * @throws RetakeError `timeout`, `supabase.unreachable`, `supabase.protocol` (endless answer), `aborted`
 */
export async function exchange(request: ExchangeRequest): Promise<ExchangeAnswer> {
  const { signal, timeoutMs, peer } = request
  throwIfAborted(signal)
  const limit = new AbortController()
  const onAbort = () => limit.abort()
  let ranOut = false
  const timer = setTimeout(() => {
    ranOut = true
    limit.abort()
  }, timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const response = await request.fetch(request.url, {
      method: request.method,
      headers: { ...request.headers },
      redirect: 'manual',
      signal: limit.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    })
    return { status: response.status, headers: response.headers, text: await readText(response, peer) }
  } catch (error) {
    throwIfAborted(signal)
    if (error instanceof RetakeError) throw error
    if (ranOut) throw new RetakeError('timeout', `${peer} did not answer completely within ${timeoutMs / 1000} s.`)
    const why = redact(causeOf(error), request.secrets)
    throw new RetakeError('supabase.unreachable', `${peer} could not be reached: ${why}.`, {
      hint: 'Check the network, the address and any proxy; then ask again.',
    })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

async function readText(response: Response, peer: string): Promise<string> {
  const reader = response.body?.getReader()
  if (!reader) return ''
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    text += decoder.decode(value as Uint8Array, { stream: true })
    if (text.length > MAXIMUM_CHARACTERS) {
      await reader.cancel()
      throw new RetakeError('supabase.protocol', `${peer} sent an answer without end.`)
    }
  }
}

/** `fetch failed` says nothing; the system's code beneath it does. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed'
  const { cause } = error
  if (cause instanceof Error) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
    return code ?? (cause.message || error.message)
  }
  return error.message
}

/** Blanks out every secret. */
export function redact(message: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret.length >= 4).reduce((text, secret) => text.replaceAll(secret, '…'), message)
}

/** A header value that `fetch` would refuse is refused here, because its own message would repeat the value. */
export function assertHeaderSafe(value: string, name: string): string {
  const trimmed = value.trim()
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed
  throw new RetakeError(
    'config.invalid',
    trimmed === '' ? `${name} is empty.` : `${name} holds characters that no key has.`,
    { hint: 'Copy it again from where it was made, without line breaks.' },
  )
}

/**
 * An address without a slash at its end. Plain http is for this machine only, because a key is sent along; `anyHttp` lifts
 * that for a project's own address, which may be a name inside a private network.
 */
export function assertAddress(value: string, name: string, options: { readonly anyHttp?: boolean } = {}): string {
  let url: URL
  try {
    url = new URL(value)
  } catch {
    throw new RetakeError('config.invalid', `${name} is not an address.`, { hint: 'Write it as https://host/path.' })
  }
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (local || options.anyHttp))) {
    throw new RetakeError('config.invalid', `${name} must begin with https://; a key is sent to it.`, {
      hint: 'Plain http is accepted for this machine only.',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new RetakeError('config.invalid', `${name} must not hold a name or password.`, {
      hint: 'Pass the key in its own option.',
    })
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}${url.search}`
}
