/** Cutting to what a provider takes, so that markup stays valid: text is cut before it is escaped, lists between items. Pure. */

const ELLIPSIS = '…'

/** Without what breaks or disguises a message: half characters, control characters, marks that turn the direction of writing. */
export function cleanText(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/[\p{Cc}\u2028\u2029\ufffe\uffff]/gu, (mark) => (mark === '\n' ? '\n' : ' '))
}

/** On one line. */
export function cleanLine(text: string): string {
  return cleanText(text).replace(/\s+/g, ' ').trim()
}

export interface ClipOptions {
  readonly escape?: ((character: string) => string) | undefined
  /** Default: UTF-16 units, as most providers count. */
  readonly measure?: ((text: string) => number) | undefined
}

/** At most `limit` long after escaping, cut between whole characters, with `…` where something is missing. */
export function clip(
  text: string,
  limit: number,
  { escape: escaped = (one) => one, measure = (one) => one.length }: ClipOptions = {},
): string {
  const room = limit - measure(ELLIPSIS)
  let kept = ''
  let size = 0
  let keptAtRoom: string | undefined
  for (const character of text) {
    const piece = escaped(character)
    size += measure(piece)
    if (size > room) keptAtRoom ??= kept
    if (size > limit) return `${keptAtRoom ?? kept}${ELLIPSIS}`
    kept += piece
  }
  return kept
}

export function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}

export interface Fitted<T> {
  readonly shown: readonly T[]
  /** How many did not fit. */
  readonly hidden: number
}

/** As many as fit from the front; `cost` of each is counted against `budget`, in which there must be room for saying how many more there are. */
export function fitItems<T>(
  items: readonly T[],
  options: { readonly budget: number; readonly cost: (item: T) => number },
): Fitted<T> {
  let left = options.budget
  const end = items.findIndex((item) => {
    left -= options.cost(item)
    return left < 0
  })
  const shown = end === -1 ? items : items.slice(0, end)
  return { shown, hidden: items.length - shown.length }
}

export function andMore(hidden: number, what: string): string {
  return `${ELLIPSIS} and ${hidden} more ${hidden === 1 ? what : `${what}s`}`
}
