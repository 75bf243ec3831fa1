/** The sizes of a data set and the relations between its rows, as numbers: who watched, reviewed, follows and likes what. */
import { mix, Random, uuidOf } from './random.ts'
import { TextSource } from './words.ts'

/** Numbers that tell the random streams and ids of the tables apart. */
export const STREAM = {
  user: 1,
  identity: 2,
  session: 3,
  title: 4,
  watched: 5,
  review: 6,
  list: 7,
  listItem: 8,
  watchlist: 9,
  follow: 10,
  notification: 11,
  interaction: 12,
  episode: 13,
  activity: 14,
  object: 15,
} as const

/** All data lies before this instant: 2026-06-01T00:00:00Z. */
export const DATA_END_MS = Date.UTC(2026, 5, 1)
const DAY_MS = 86_400_000

export interface World {
  readonly seed: number
  readonly text: TextSource
  /** Primes, so that every step through them meets each number once. */
  readonly userCount: number
  readonly titleCount: number
  readonly reviewCount: number
  readonly listCount: number
  readonly followerCounts: Int32Array
  readonly likeCounts: Int32Array
  readonly commentCounts: Int32Array
}

/** One of the things that `owner` has: number `ordinal` of its own, about number `other` of something else. */
export interface Relation {
  readonly owner: number
  readonly ordinal: number
  readonly other: number
  readonly random: Random
}

export function makeWorld(seed: number, scale: number): World {
  const userCount = primeFrom(Math.max(13, Math.round(2_000 * scale)))
  const titleCount = primeFrom(Math.max(101, Math.round(2_500 * scale)))
  const sizes = { seed, userCount, titleCount }
  const reviewCount = countRelations(reviewsOf(sizes))
  const followerCounts = new Int32Array(userCount)
  for (const { other } of followsOf(sizes)) followerCounts[other] = (followerCounts[other] ?? 0) + 1
  const likeCounts = new Int32Array(reviewCount)
  const commentCounts = new Int32Array(reviewCount)
  for (const { owner, ordinal } of interactionsOf({ ...sizes, reviewCount })) {
    const counts = isComment(ordinal) ? commentCounts : likeCounts
    counts[owner] = (counts[owner] ?? 0) + 1
  }
  return {
    ...sizes,
    text: new TextSource(seed),
    reviewCount,
    listCount: Math.round(userCount * 0.7),
    followerCounts,
    likeCounts,
    commentCounts,
  }
}

type Sizes = Pick<World, 'seed' | 'userCount' | 'titleCount'>

export function watchedOf(world: Sizes): Iterable<Relation> {
  return relations(world, { stream: STREAM.watched, owners: world.userCount, average: 10, others: world.titleCount })
}

export function reviewsOf(world: Sizes): Iterable<Relation> {
  return relations(world, { stream: STREAM.review, owners: world.userCount, average: 3, others: world.titleCount })
}

export function watchlistOf(world: Sizes): Iterable<Relation> {
  return relations(world, { stream: STREAM.watchlist, owners: world.userCount, average: 4, others: world.titleCount })
}

export function* followsOf(world: Sizes): Iterable<Relation> {
  const wanted = { stream: STREAM.follow, owners: world.userCount, average: 4, others: world.userCount }
  for (const relation of relations(world, wanted)) if (relation.owner !== relation.other) yield relation
}

/** What users did to reviews: the owner is the review, the other the user. */
export function interactionsOf(world: Sizes & { readonly reviewCount: number }): Iterable<Relation> {
  const { reviewCount, userCount } = world
  return relations(world, { stream: STREAM.interaction, owners: reviewCount, average: 1.5, others: userCount })
}

export function isComment(ordinal: number): boolean {
  return ordinal % 3 === 1
}

export function listItemsOf(world: World): Iterable<Relation> {
  return relations(world, { stream: STREAM.listItem, owners: world.listCount, average: 6, others: world.titleCount })
}

/**
 * Each owner has between none and four times the average, skewed to few; the others of one owner all differ, because a walk with a
 * fixed step through a prime number of them meets each once.
 */
function* relations(
  world: { readonly seed: number },
  wanted: { readonly stream: number; readonly owners: number; readonly average: number; readonly others: number },
): Iterable<Relation> {
  const { stream, owners, average, others } = wanted
  for (let owner = 0; owner < owners; owner++) {
    const random = new Random(world.seed, stream, owner)
    const x = random.fraction()
    const count = Math.min(others - 1, Math.floor(4 * x * x * x * average + random.fraction()))
    const start = random.next() % others
    const step = 1 + (random.next() % (others - 1))
    for (let ordinal = 0; ordinal < count; ordinal++) {
      yield { owner, ordinal, other: (start + ordinal * step) % others, random }
    }
  }
}

function countRelations(all: Iterable<Relation>): number {
  let count = 0
  for (const _ of all) count += 1
  return count
}

export function userId(world: { readonly seed: number }, index: number): string {
  return uuidOf(world.seed, STREAM.user, index)
}

export function listOwner(world: World, list: number): number {
  return mix(list * 7 + world.seed) % world.userCount
}

/** An instant of the two years before {@link DATA_END_MS}, as PostgreSQL and JSON read it. */
export function pastInstant(random: Random, withinDays = 730): string {
  return new Date(DATA_END_MS - random.between(1, withinDays * DAY_MS)).toISOString()
}

export function laterInstant(random: Random, instant: string, withinDays: number): string {
  return new Date(Math.min(DATA_END_MS, Date.parse(instant) + random.between(1, withinDays * DAY_MS))).toISOString()
}

function primeFrom(low: number): number {
  for (let candidate = low | 1; ; candidate += 2) {
    let divisor = 3
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor += 2
    if (divisor * divisor > candidate) return candidate
  }
}
