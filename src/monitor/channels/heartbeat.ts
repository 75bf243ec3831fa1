/**
 * The outgoing heartbeat: a service outside is told regularly that Retake is alive, and tells people when it hears nothing more.
 * The way of Healthchecks, which many such services understand. https://healthchecks.io/docs/http_api/
 */
import { RetakeError } from '../../base/errors.ts'
import { type ChannelSurroundings, DELIVERY_LIMIT_MS } from './channel.ts'
import { isSafeAddress } from './config.ts'
import { assertSuccess, exchangeHttp, secretsOfAddress } from './http.ts'
import { cleanText, clip } from './rendering/fit.ts'

export interface HeartbeatOptions extends Partial<ChannelSurroundings> {
  /** `alive` (default); `start` of a piece of work; `fail`: it is alive, and something is wrong. */
  readonly signalKind?: 'alive' | 'start' | 'fail' | undefined
  /** What people find beside it, such as the score; kept by the service up to 100 kB. */
  readonly text?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Default: 10 s. */
  readonly timeoutMs?: number | undefined
}

const LIMIT_MS = Math.min(10_000, DELIVERY_LIMIT_MS)
const LONGEST_TEXT = 10_000
const HINT = 'Make a check at the service, and put its ping address in its place.'

/**
 * Sends one.
 * @throws RetakeError `notice.unreachable`, `notice.rate-limited`, `notice.failed`, `notice.denied`, `notice.refused`, `timeout`, `aborted`, `config.invalid`
 */
export async function sendHeartbeat(address: string, options: HeartbeatOptions = {}): Promise<void> {
  if (!isSafeAddress(address, { anyHttp: true })) {
    throw new RetakeError('config.invalid', 'The address of the heartbeat cannot be used.', { hint: HINT })
  }
  const url = new URL(address)
  const kind = options.signalKind ?? 'alive'
  if (kind !== 'alive') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${kind}`
  const peer = `The heartbeat's service at ${url.host}`
  const secrets = secretsOfAddress(address)
  const text = options.text === undefined ? undefined : clip(cleanText(options.text), LONGEST_TEXT)
  const answer = await exchangeHttp({
    url: url.href,
    method: text === undefined ? 'GET' : 'POST',
    ...(text === undefined ? {} : { headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text }),
    fetch: options.fetch ?? fetch,
    timeoutMs: options.timeoutMs ?? LIMIT_MS,
    signal: options.signal,
    peer,
    secrets,
  })
  const now = options.now?.() ?? new Date()
  assertSuccess(answer, { peer, secrets, now, deniedHint: HINT, missingHint: HINT })
  // Said with status 200, because old programs took anything else for a reason to fail.
  if (/\(not found\)/.test(answer.text)) {
    throw new RetakeError('notice.refused', `${peer} knows no such check; nobody would notice that Retake is silent.`, {
      hint: HINT,
    })
  }
  if (/\(rate limited\)/.test(answer.text)) {
    throw new RetakeError('notice.rate-limited', `${peer} wants fewer heartbeats; this one does not count.`)
  }
}
