/** What there is to watch, and what users watched, want to watch and wrote about it. */
import { type CopyValue, textArray } from './copy-in.ts'
import { GENRES } from './data-members.ts'
import {
  laterInstant,
  pastInstant,
  reviewsOf,
  STREAM,
  userId,
  type World,
  watchedOf,
  watchlistOf,
} from './data-world.ts'
import type { GeneratedTable } from './generated-table.ts'
import { Random, uuidOf } from './random.ts'

const DEVICES: readonly string[] = ['tv', 'phone', 'tablet', 'laptop', 'cinema']
const TAGS: readonly string[] = [
  'classic',
  'slow',
  'funny',
  'dark',
  'family',
  'twist',
  'score',
  'visuals',
  'acting',
  'overrated',
  'hidden gem',
]
const LANGUAGES: readonly string[] = ['en', 'en', 'en', 'fr', 'es', 'de', 'ja', 'ko', 'it', 'da']

export function catalogueTables(world: World): GeneratedTable[] {
  return [titles(world), watched(world), episodes(world), reviews(world), watchlist(world)]
}

function titles(world: World): GeneratedTable {
  return {
    table: 'public.titles',
    columns: [
      ...['id', 'tmdb_id', 'kind', 'name', 'original_language', 'released_on', 'genres', 'overview', 'runtime_minutes'],
      ...['vote_average', 'popularity', 'metadata'],
    ],
    *rows() {
      for (let i = 0; i < world.titleCount; i++) yield titleRow(world, i)
    },
  }
}

function titleRow(world: World, index: number): CopyValue[] {
  const random = new Random(world.seed, STREAM.title, index)
  const genres = Array.from(new Set(Array.from({ length: random.between(1, 3) }, () => random.pick(GENRES))))
  const metadata = JSON.stringify({
    imdb: `tt${String(1_000_000 + index).padStart(8, '0')}`,
    poster: `/${random.uuid().replaceAll('-', '').slice(0, 27)}.jpg`,
    cast: Array.from({ length: random.between(2, 6) }, () => ({
      name: Object.values(world.text.person(random)).join(' '),
      character: world.text.title(random, 1, 2),
    })),
    budget: random.chance(0.3) ? random.between(1, 300) * 1_000_000 : null,
  })
  return [
    ...[
      index + 1,
      100_000 + index,
      isSeries(index) ? 'series' : 'movie',
      world.text.title(random),
      random.pick(LANGUAGES),
    ],
    new Date(Date.UTC(1950, 0, 1) + random.between(0, 27_000) * 86_400_000).toISOString().slice(0, 10),
    textArray(genres),
    world.text.prose(random, random.between(25, 80)),
    random.between(20, 190),
    ...[(random.between(300, 980) / 100).toFixed(2), random.fraction() * 400, metadata],
  ]
}

function isSeries(title: number): boolean {
  return title % 3 === 0
}

function watched(world: World): GeneratedTable {
  return {
    table: 'public.watched_content',
    columns: [
      ...['id', 'user_id', 'title_id', 'watched_at', 'rating', 'watched_minutes', 'device', 'rewatch', 'note'],
      ...['created_at', 'updated_at'],
    ],
    *rows() {
      let index = 0
      for (const { owner, other, random } of watchedOf(world)) {
        const at = pastInstant(random)
        yield [
          ...[uuidOf(world.seed, STREAM.watched, index++), userId(world, owner), other + 1, at],
          random.chance(0.7) ? (random.between(2, 20) / 2).toFixed(1) : null,
          ...[random.between(5, 190), random.pick(DEVICES), false],
          random.chance(0.2) ? world.text.words(random, random.between(3, 14)) : null,
          ...[at, laterInstant(random, at, 2)],
        ]
      }
    },
  }
}

function* episodeRows(world: World): Iterable<readonly CopyValue[]> {
  for (const { owner, ordinal, other, random } of watchedOf(world)) {
    if (!isSeries(other) || ordinal > 8) continue
    const user = userId(world, owner)
    const episodes = random.between(1, 4)
    let at = pastInstant(random, 400)
    for (let episode = 1; episode <= episodes; episode++) {
      at = laterInstant(random, at, 5)
      const status = random.pick(['watched', 'watched', 'watched', 'watching', 'skipped'])
      yield [user, other + 1, random.chance(0.02) ? 2 : 1, episode, status, random.between(60, 3_600), at]
    }
  }
}

function episodes(world: World): GeneratedTable {
  return {
    table: 'public.episode_tracking',
    columns: ['user_id', 'title_id', 'season', 'episode', 'status', 'progress_seconds', 'watched_at'],
    rows: () => episodeRows(world),
  }
}

function reviews(world: World): GeneratedTable {
  return {
    table: 'public.reviews',
    columns: [
      ...['id', 'user_id', 'title_id', 'rating', 'headline', 'body', 'tags', 'spoiler', 'status', 'like_count'],
      ...['comment_count', 'metadata', 'created_at', 'updated_at'],
    ],
    *rows() {
      let index = 0
      for (const { owner, other, random } of reviewsOf(world)) {
        const at = pastInstant(random)
        // A few essays are long enough to be stored out of line.
        const words = random.chance(0.02) ? random.between(600, 1_400) : random.between(15, 120)
        yield [
          ...[uuidOf(world.seed, STREAM.review, index), userId(world, owner), other + 1],
          ...[(random.between(2, 20) / 2).toFixed(1), world.text.title(random, 2, 7), world.text.prose(random, words)],
          textArray(Array.from(new Set([random.pick(TAGS), random.pick(TAGS)]))),
          ...[random.chance(0.1), random.chance(0.06) ? 'draft' : 'published'],
          ...[world.likeCounts[index] ?? 0, world.commentCounts[index] ?? 0],
          JSON.stringify({
            device: random.pick(DEVICES),
            edited: random.between(0, 3),
            source: random.pick(['app', 'web']),
          }),
          ...[at, laterInstant(random, at, 30)],
        ]
        index += 1
      }
    },
  }
}

function watchlist(world: World): GeneratedTable {
  return {
    table: 'public.watchlist',
    columns: ['user_id', 'title_id', 'priority', 'note', 'added_at', 'remind_at'],
    *rows() {
      for (const { owner, other, random } of watchlistOf(world)) {
        const at = pastInstant(random, 200)
        const note = random.chance(0.15) ? world.text.words(random, random.between(2, 10)) : null
        const remind = random.chance(0.1) ? laterInstant(random, at, 60) : null
        yield [userId(world, owner), other + 1, random.between(1, 5), note, at, remind]
      }
    },
  }
}
