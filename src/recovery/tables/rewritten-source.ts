/**
 * Segments of the archive with some of their records turned into no-ops, for the feeder. They are asked for one after the other, and the
 * last ones again where a server ends its recovery; whichever is asked for comes out the same.
 */

import { parseSegmentName } from '../../postgres/lsn.ts'
import { NoopRewriter, type NoopRewriterState, type RecordHead } from '../../postgres/wal/noop-rewriter.ts'
import type { FeederSource } from '../feeder.ts'

export interface RewriteOptions {
  readonly segmentSizeBytes: number
  readonly isUnwanted: (record: RecordHead) => boolean
}

export function rewrittenSource(source: FeederSource, options: RewriteOptions): FeederSource {
  const names = [...source.sequence]
  const places = new Map(names.map((name, index) => [name, index]))
  const log = new RewrittenLog(source, names, options)
  return {
    sequence: names,
    async open(name) {
      const index = places.get(name)
      return index === undefined ? await source.open(name) : log.segment(index)
    },
  }
}

/** A segment of which pieces were taken already, because a record that began before it needed them. */
interface Begun {
  readonly index: number
  readonly rest: AsyncIterator<Uint8Array>
  /** Taken and rewritten. */
  readonly ready: Uint8Array[]
}

class RewrittenLog {
  readonly #source: FeederSource
  readonly #names: readonly string[]
  readonly #options: RewriteOptions
  /** At the beginning of each segment that was reached. */
  readonly #states = new Map<number, NoopRewriterState | undefined>([[0, undefined]])
  #rewriter: NoopRewriter
  /** Which segment the rewriter stands at; undefined while one is under way, or was not taken to its end. */
  #next: number | undefined = 0
  #begun: Begun | undefined

  constructor(source: FeederSource, names: readonly string[], options: RewriteOptions) {
    this.#source = source
    this.#names = names
    this.#options = options
    this.#rewriter = this.#rewriterAt(0)
  }

  async *segment(index: number): AsyncGenerator<Uint8Array> {
    if (this.#next !== index) await this.#standAt(index)
    this.#next = undefined
    let missing = this.#options.segmentSizeBytes
    const begun = this.#begun
    this.#begun = undefined
    for (const piece of begun?.ready ?? []) {
      missing -= piece.length
      yield piece
    }
    const pieces = begun?.rest ?? (await this.#open(index))
    for (let step = await pieces.next(); !step.done; step = await pieces.next()) {
      for (const piece of this.#rewriter.push(step.value)) {
        missing -= piece.length
        yield piece
      }
    }
    this.#states.set(index + 1, this.#rewriter.state)
    // A record whose headers go on in the next segment: what it is, is known only there.
    for await (const piece of this.#settle(index + 1, missing)) yield piece
    this.#next = index + 1
  }

  /** The last pieces of a segment, `missing` bytes of them, which the beginning of the next one decides about. */
  async *#settle(next: number, missing: number): AsyncGenerator<Uint8Array> {
    if (missing === 0) return
    if (next >= this.#names.length) {
      yield* this.#rewriter.end()
      return
    }
    const begun: Begun = { index: next, rest: await this.#open(next), ready: [] }
    this.#begun = begun
    let left = missing
    while (left > 0) {
      const step = await begun.rest.next()
      const free = step.done ? this.#rewriter.end() : this.#rewriter.push(step.value)
      for (const piece of free) {
        if (left === 0) begun.ready.push(piece)
        else {
          left -= piece.length
          yield piece
        }
      }
    }
  }

  /** Asked out of turn: from the nearest place that is known. */
  async #standAt(index: number): Promise<void> {
    await this.#begun?.rest.return?.()
    this.#begun = undefined
    let known = index
    while (!this.#states.has(known)) known -= 1
    this.#rewriter = this.#rewriterAt(known)
    this.#next = known
    while (this.#next < index) for await (const _ of this.segment(this.#next));
  }

  #rewriterAt(index: number): NoopRewriter {
    const { segmentSizeBytes } = this.#options
    const firstSegment = parseSegmentName(this.#names[index] ?? '', segmentSizeBytes)?.segment ?? 0n
    return new NoopRewriter({ ...this.#options, firstSegment, state: this.#states.get(index) })
  }

  /** @throws RetakeError `wal.gap`, because it is one of the sequence */
  async #open(index: number): Promise<AsyncIterator<Uint8Array>> {
    const content = await this.#source.open(this.#names[index] ?? '')
    if (content === undefined) throw new Error(`assertion failed: ${this.#names[index]} is there`)
    return content[Symbol.asyncIterator]()
  }
}
