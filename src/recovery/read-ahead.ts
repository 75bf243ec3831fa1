/**
 * A source whose next files are begun to be read before they are asked for: a storage that is far away answers each request late, and the
 * replay of a segment takes less time than to fetch one by one what it is made of.
 */
import type { FeederSource } from './feeder.ts'

/** One whose first piece was asked for. */
interface Begun {
  readonly content: AsyncIterable<Uint8Array>
  readonly close: () => Promise<unknown>
}

/** @param files how many files behind the one that is asked for are begun; of each, a few pieces are held */
export function readAhead(source: FeederSource, { files }: { readonly files: number }): FeederSource {
  const names = [...source.sequence]
  const places = new Map(names.map((name, index) => [name, index]))
  const begun = new Map<number, Promise<Begun | undefined>>()
  const begin = (index: number): Promise<Begun | undefined> => {
    const opened = source.open(names[index] ?? '').then((content) => content && beginReading(content))
    // It is told to whoever asks for it.
    opened.catch(() => {})
    return opened
  }
  return {
    sequence: names,
    async open(name) {
      const index = places.get(name)
      if (index === undefined) return await source.open(name)
      const opened = begun.get(index) ?? begin(index)
      begun.delete(index)
      for (const [other, unused] of begun) {
        if (other > index && other <= index + files) continue
        // Asked out of turn: what was begun is not what comes next.
        begun.delete(other)
        unused.then((one) => one?.close()).catch(() => {})
      }
      for (let next = index + 1; next <= Math.min(index + files, names.length - 1); next += 1) {
        if (!begun.has(next)) begun.set(next, begin(next))
      }
      return (await opened)?.content
    },
  }
}

function beginReading(content: AsyncIterable<Uint8Array>): Begun {
  const pieces = content[Symbol.asyncIterator]()
  const first = pieces.next()
  first.catch(() => {})
  return { content: rest(first, pieces), close: async () => await pieces.return?.() }
}

async function* rest(
  first: Promise<IteratorResult<Uint8Array>>,
  pieces: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let step = await first; !step.done; step = await pieces.next()) yield step.value
  } finally {
    await pieces.return?.()
  }
}
