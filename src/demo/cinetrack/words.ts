/** Text that compresses like prose: words whose frequencies follow Zipf's law, as those of a language do. */
import { Random } from './random.ts'
import { commonWords, familyNames, filmWords, givenNames } from './vocabulary.ts'

const ENDINGS: readonly string[] = ['like', 'wise', 'ish', 'y', 'ful']

/** How many entries the table of {@link TextSource} has: a word is one look-up instead of a search. */
const TABLE_SIZE = 1 << 16

export class TextSource {
  readonly #table: readonly string[]

  constructor(seed: number) {
    const vocabulary = makeVocabulary(new Random(seed, 0x77_6f_72_64))
    this.#table = zipfTable(vocabulary)
  }

  word(random: Random): string {
    return this.#table[random.next() & (TABLE_SIZE - 1)] as string
  }

  words(random: Random, count: number): string {
    let text = this.word(random)
    for (let i = 1; i < count; i++) text += ` ${this.word(random)}`
    return text
  }

  /** `A title of some words`. */
  title(random: Random, low = 1, high = 5): string {
    return capital(this.words(random, random.between(low, high)))
  }

  /** The name of a person who does not exist. */
  person(random: Random): { readonly given: string; readonly family: string } {
    return { given: random.pick(givenNames), family: random.pick(familyNames) }
  }

  /** Sentences until there are at least `minWords`. */
  prose(random: Random, minWords: number): string {
    let text = ''
    for (let written = 0; written < minWords; ) {
      const length = random.between(4, 16)
      const end = random.chance(0.1) ? '!' : random.chance(0.08) ? '?' : '.'
      text += `${text === '' ? '' : random.chance(0.12) ? '\n\n' : ' '}${capital(this.words(random, length))}${end}`
      written += length
    }
    return text
  }
}

/** The common words keep their order; the others, and forms of them, follow in an order of the seed's. */
function makeVocabulary(random: Random): string[] {
  const stems = shuffle(random, [...filmWords])
  const derived = shuffle(
    random,
    stems.flatMap((stem) => ENDINGS.map((ending) => stem + ending)),
  )
  return [...new Set([...commonWords, ...stems, ...derived])]
}

function shuffle(random: Random, values: string[]): string[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    const held = values[i] as string
    values[i] = values[j] as string
    values[j] = held
  }
  return values
}

/** Word number r (from 1) takes a share of the table that is proportional to 1/r. */
function zipfTable(vocabulary: readonly string[]): string[] {
  const harmonic = vocabulary.reduce((sum, _, index) => sum + 1 / (index + 1), 0)
  const table: string[] = []
  let share = 0
  for (const [index, word] of vocabulary.entries()) {
    share += TABLE_SIZE / harmonic / (index + 1)
    while (table.length < Math.min(TABLE_SIZE, Math.round(share))) table.push(word)
  }
  while (table.length < TABLE_SIZE) table.push(vocabulary[0] as string)
  return table
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
