/** A stream of the server as an endless loop: when it breaks or is renewed, it is taken up again after the last event that was seen. */
import { sleep, throwIfAborted } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { type Peer, problemError, problemIn, send, unreachable } from './exchange.ts'
import { EventParser, type ServerEvent } from './parse-events.ts'

export interface WatchOptions {
  readonly target: string
  readonly signal: AbortSignal
  /** Without a byte for so long the connection is dead. */
  readonly silenceMs: number
  /** Before the first repetition; doubled each time, up to 30 s. */
  readonly retryMs: number
}

const LONGEST_RETRY_MS = 30_000

/**
 * Ends when the server says that nothing more will come.
 * @throws RetakeError when the first connection fails, when the server refuses, `aborted`
 */
export async function* watchEvents(peer: Peer, options: WatchOptions): AsyncGenerator<ServerEvent, void> {
  const { signal } = options
  let after: string | undefined
  let failures = 0
  let isKnown = false
  let waitMs = options.retryMs
  for (;;) {
    try {
      const stream = openStream(peer, { ...options, after })
      for await (const event of stream) {
        isKnown = true
        failures = 0
        if ('retryMs' in event) {
          waitMs = Math.min(event.retryMs, LONGEST_RETRY_MS)
          continue
        }
        if (event.event === 'end') {
          if (isOver(event.data)) return
          break
        }
        after = event.id ?? after
        yield event
      }
    } catch (error) {
      throwIfAborted(signal)
      if (!isKnown || !isRetakeError(error) || error.retry === 'never') throw error
      failures++
    }
    await sleep(Math.min(waitMs * 2 ** Math.min(failures, 10), LONGEST_RETRY_MS), signal)
  }
}

/** False: it is to be taken up again. @throws RetakeError what the source of the events failed with */
function isOver(data: string): boolean {
  const end: unknown = JSON.parse(data)
  if (typeof end !== 'object' || end === null || !('reason' in end)) {
    throw new RetakeError('api.protocol', 'The server ended a stream without a reason.')
  }
  if (end.reason === 'failed') {
    const problem = 'problem' in end ? problemIn(JSON.stringify(end.problem)) : undefined
    throw problem
      ? problemError(problem)
      : new RetakeError('api.protocol', 'A stream failed for a reason not known here.')
  }
  return end.reason === 'over'
}

interface OpenOptions extends WatchOptions {
  readonly after: string | undefined
}

/** One connection: its events, and what the server says about reconnecting. Leaving the loop closes it. */
async function* openStream(
  peer: Peer,
  { target, signal, silenceMs, after }: OpenOptions,
): AsyncGenerator<ServerEvent | { readonly retryMs: number }, void> {
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal.reason)
  throwIfAborted(signal)
  signal.addEventListener('abort', onAbort, { once: true })
  let silence: ReturnType<typeof setTimeout> | undefined
  const heard = () => {
    clearTimeout(silence)
    silence = setTimeout(() => controller.abort(), silenceMs)
  }
  heard()
  try {
    const response = await send(peer, {
      method: 'GET',
      target,
      headers: { accept: 'text/event-stream', ...(after === undefined ? {} : { 'last-event-id': after }) },
      signal: controller.signal,
    })
    const reader = response.body?.getReader()
    if (!reader) throw new RetakeError('api.protocol', 'The server opened a stream without a body.')
    const parser = new EventParser()
    const decoder = new TextDecoder()
    for (;;) {
      const { done, value } = await reader.read()
      heard()
      if (done) throw new Error('the connection ended')
      yield* parser.push(decoder.decode(value as Uint8Array, { stream: true }))
      if (parser.retryMs !== undefined) {
        yield { retryMs: parser.retryMs }
        parser.retryMs = undefined
      }
    }
  } catch (error) {
    throwIfAborted(signal)
    if (isRetakeError(error) && error.code !== 'aborted') throw error
    // The rest of what went wrong is the connection, also a silence that lasted too long.
    throw unreachable(error, signal)
  } finally {
    clearTimeout(silence)
    signal.removeEventListener('abort', onAbort)
    controller.abort()
  }
}
