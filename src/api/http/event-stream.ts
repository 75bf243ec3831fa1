/**
 * Server-sent events. An event is asked of its source only when the reader has taken the one before, so nothing piles up here; a reader
 * that hears nothing for a while is told that we are there. A stream ends with an event that says why: its source ended (`over`) or
 * failed (`failed`), the server ends (`closing`), or it has lasted long enough (`renew`); after the last two, a reader takes it up again.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { StreamItem } from '../services.ts'

export type EndReason = 'over' | 'failed' | 'closing' | 'renew'

export interface EventStreamOptions {
  /** The name of its events. */
  readonly event: string
  /** Called once, when the stream is first read. The signal fires when it ends, however that comes. */
  readonly open: (signal: AbortSignal) => AsyncIterable<StreamItem<unknown>>
  /** What is sent of an item. */
  readonly render: (value: unknown) => unknown
  /** What is sent when the source failed. */
  readonly failure: (error: unknown) => unknown
  readonly heartbeatMs: number
  readonly lastMs: number
  /** How long a reader is asked to wait before it takes the stream up again. */
  readonly retryMs: number
  /** Fires when the server ends. */
  readonly closing: AbortSignal
  readonly onEnd: () => void
}

const encoder = new TextEncoder()

/** Nothing runs before the stream is read, and nothing after it was left. */
export function eventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const pump = new EventPump(options)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const text = await pump.next()
        if (text !== undefined) controller.enqueue(encoder.encode(text))
        else if (!pump.wasLeft) controller.close()
      },
      cancel: () => pump.leave(),
    },
    { highWaterMark: 0 },
  )
}

type Settled = { readonly item: IteratorResult<StreamItem<unknown>, unknown> } | { readonly error: unknown }

class EventPump {
  readonly #options: EventStreamOptions
  readonly #controller = new AbortController()
  #iterator: AsyncIterator<StreamItem<unknown>, unknown> | undefined
  #isAsked = false
  #settled: Settled | undefined
  #end: EndReason | undefined
  #isOver = false
  wasLeft = false
  #wake: (() => void) | undefined
  #lastTimer: NodeJS.Timeout | undefined

  constructor(options: EventStreamOptions) {
    this.#options = options
  }

  /** The next piece of text; undefined: that was all. */
  async next(): Promise<string | undefined> {
    if (this.#isOver) return undefined
    if (!this.#iterator) return this.#begin()
    this.#ask(this.#iterator)
    if (!this.#settled && !this.#end) await this.#sleep()
    // It may have been left meanwhile, which no earlier look can have seen.
    if (this.#isLeft()) return undefined
    if (this.#settled) return this.#take(this.#settled)
    if (this.#end) return this.#finish(this.#end, {})
    return ': still here\n\n'
  }

  /** Nobody reads it any more. */
  leave(): void {
    this.wasLeft = true
    this.#dispose()
  }

  #dispose(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#lastTimer)
    this.#options.closing.removeEventListener('abort', this.#onClosing)
    this.#controller.abort()
    // A source that waits ends by the signal; what it says to that is of no interest any more.
    void this.#iterator?.return?.().then(undefined, () => {})
    this.#wake?.()
    this.#options.onEnd()
  }

  #isLeft(): boolean {
    return this.#isOver
  }

  #begin(): string {
    const { open, closing, lastMs, retryMs } = this.#options
    this.#iterator = open(this.#controller.signal)[Symbol.asyncIterator]()
    this.#lastTimer = setTimeout(() => this.#endFor('renew'), lastMs)
    closing.addEventListener('abort', this.#onClosing, { once: true })
    if (closing.aborted) this.#onClosing()
    return `retry: ${retryMs}\n\n`
  }

  readonly #onClosing = () => this.#endFor('closing')

  #endFor(reason: EndReason): void {
    this.#end ??= reason
    this.#wake?.()
  }

  #ask(iterator: AsyncIterator<StreamItem<unknown>, unknown>): void {
    if (this.#isAsked) return
    this.#isAsked = true
    const settle = (settled: Settled) => {
      this.#settled = settled
      this.#wake?.()
    }
    iterator.next().then(
      (item) => settle({ item }),
      (error: unknown) => settle({ error }),
    )
  }

  /** Until there is something to say, at most for the time of a heartbeat. */
  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(done, this.#options.heartbeatMs)
      this.#wake = done
    })
  }

  #take(settled: Settled): string {
    this.#settled = undefined
    this.#isAsked = false
    try {
      if ('error' in settled) throw settled.error
      if (settled.item.done) return this.#finish('over', {})
      const { id, value } = settled.item.value
      return `event: ${this.#options.event}\nid: ${oneLine(id)}\ndata: ${JSON.stringify(this.#options.render(value))}\n\n`
    } catch (error) {
      return this.#finish('failed', { problem: this.#options.failure(error) })
    }
  }

  #finish(reason: EndReason, more: object): string {
    this.#dispose()
    return `event: end\ndata: ${JSON.stringify({ reason, ...more })}\n\n`
  }
}

function oneLine(id: string): string {
  if (/[\r\n\0]/.test(id)) throw new Error('assertion failed: the id of an event has several lines')
  return id
}
