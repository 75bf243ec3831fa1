/** Server-sent events out of bytes. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
import { RetakeError } from '../../base/errors.ts'

export interface ServerEvent {
  readonly event: string
  /** The last id that was given, by this event or an earlier one. */
  readonly id: string | undefined
  readonly data: string
}

/** Far more than any event has; a peer that sends without end is cut off. */
const MAXIMUM_CHARACTERS = 4 * 1024 * 1024

/** Takes text as it comes and gives the events that are complete; what the server says about reconnecting is in `retryMs`. */
export class EventParser {
  retryMs: number | undefined
  #rest = ''
  #event = ''
  #id: string | undefined
  #data: string[] = []

  /** @throws RetakeError `api.protocol` when an event has no end */
  push(text: string): ServerEvent[] {
    this.#rest += text
    const events: ServerEvent[] = []
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest)
      if (!end) break
      const line = this.#rest.slice(0, end.index)
      this.#rest = this.#rest.slice(end.index + end[0].length)
      const event = this.#take(line)
      if (event) events.push(event)
    }
    const held = this.#rest.length + this.#data.reduce((sum, line) => sum + line.length, 0)
    if (held > MAXIMUM_CHARACTERS) throw new RetakeError('api.protocol', 'The server sent an event without end.')
    return events
  }

  #take(line: string): ServerEvent | undefined {
    if (line === '') return this.#dispatch()
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.retryMs = Number(value)
    return undefined
  }

  #dispatch(): ServerEvent | undefined {
    const [data, event] = [this.#data, this.#event]
    this.#data = []
    this.#event = ''
    return data.length === 0 ? undefined : { event: event || 'message', id: this.#id, data: data.join('\n') }
  }
}
