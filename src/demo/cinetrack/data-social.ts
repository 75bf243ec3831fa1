/** What users make of each other: lists, follows, likes and comments, notifications, the feed. */
import type { CopyValue } from './copy-in.ts'
import {
  followsOf,
  interactionsOf,
  isComment,
  laterInstant,
  listItemsOf,
  listOwner,
  pastInstant,
  STREAM,
  userId,
  type World,
} from './data-world.ts'
import type { GeneratedTable } from './generated-table.ts'
import { Random, uuidOf } from './random.ts'

const VERBS: readonly (readonly [string, string])[] = [
  ['watched', 'title'],
  ['watched', 'title'],
  ['reviewed', 'review'],
  ['listed', 'list'],
  ['followed', 'user'],
]

export function socialTables(world: World): GeneratedTable[] {
  return [lists(world), listItems(world), follows(world), interactions(world), notifications(world), feed(world)]
}

function lists(world: World): GeneratedTable {
  return {
    table: 'public.custom_lists',
    columns: ['id', 'user_id', 'name', 'description', 'is_public', 'item_count', 'cover', 'created_at', 'updated_at'],
    *rows() {
      const counts = new Int32Array(world.listCount)
      for (const { owner } of listItemsOf(world)) counts[owner] = (counts[owner] ?? 0) + 1
      for (let i = 0; i < world.listCount; i++) {
        const random = new Random(world.seed, STREAM.list, i)
        const at = pastInstant(random)
        yield [
          ...[uuidOf(world.seed, STREAM.list, i), userId(world, listOwner(world, i)), world.text.title(random, 1, 4)],
          random.chance(0.5) ? world.text.prose(random, random.between(5, 30)) : null,
          ...[random.chance(0.8), counts[i] ?? 0],
          random.chance(0.4)
            ? JSON.stringify({ colour: random.between(0, 0xffffff).toString(16), title: random.between(1, 99) })
            : null,
          ...[at, laterInstant(random, at, 100)],
        ]
      }
    },
  }
}

function listItems(world: World): GeneratedTable {
  return {
    table: 'public.custom_list_items',
    columns: ['list_id', 'title_id', 'position', 'note', 'added_at'],
    *rows() {
      for (const { owner, ordinal, other, random } of listItemsOf(world)) {
        const note = random.chance(0.1) ? world.text.words(random, random.between(2, 9)) : null
        yield [uuidOf(world.seed, STREAM.list, owner), other + 1, ordinal + 1, note, pastInstant(random)]
      }
    },
  }
}

function follows(world: World): GeneratedTable {
  return {
    table: 'public.follows',
    columns: ['follower_id', 'followed_id', 'created_at'],
    *rows() {
      for (const { owner, other, random } of followsOf(world)) {
        yield [userId(world, owner), userId(world, other), pastInstant(random)]
      }
    },
  }
}

function interactions(world: World): GeneratedTable {
  return {
    table: 'public.review_interactions',
    columns: ['id', 'review_id', 'user_id', 'kind', 'body', 'created_at'],
    *rows() {
      let index = 0
      for (const { owner, ordinal, other, random } of interactionsOf(world)) {
        const comment = isComment(ordinal)
        const body = comment ? world.text.prose(random, random.between(4, 40)) : null
        const id = uuidOf(world.seed, STREAM.interaction, index++)
        const review = uuidOf(world.seed, STREAM.review, owner)
        yield [id, review, userId(world, other), comment ? 'comment' : 'like', body, pastInstant(random)]
      }
    },
  }
}

function notifications(world: World): GeneratedTable {
  return {
    table: 'public.notifications',
    columns: ['id', 'user_id', 'actor_id', 'kind', 'payload', 'read_at', 'created_at'],
    *rows() {
      const count = world.userCount * 5
      for (let i = 0; i < count; i++) {
        const random = new Random(world.seed, STREAM.notification, i)
        const at = pastInstant(random, 120)
        const read = random.chance(0.7) ? laterInstant(random, at, 3) : null
        const kind = random.pick(['follow', 'like', 'comment', 'episode', 'list'])
        const payload = JSON.stringify({
          text: world.text.words(random, random.between(4, 12)),
          review: uuidOf(world.seed, STREAM.review, random.skewed(world.reviewCount)),
          channel: random.pick(['push', 'email', 'app']),
        })
        const actor = random.chance(0.1) ? null : userId(world, random.skewed(world.userCount))
        yield [i + 1, userId(world, random.skewed(world.userCount)), actor, kind, payload, read, at]
      }
    },
  }
}

function feed(world: World): GeneratedTable {
  return {
    table: 'public.activity_feed',
    columns: ['id', 'user_id', 'verb', 'object_type', 'object_id', 'payload', 'occurred_at'],
    *rows(): Iterable<readonly CopyValue[]> {
      const count = world.userCount * 6
      for (let i = 0; i < count; i++) {
        const random = new Random(world.seed, STREAM.activity, i)
        const [verb, object] = random.pick(VERBS)
        const id = object === 'title' ? String(random.between(1, world.titleCount)) : random.uuid()
        const payload = JSON.stringify({
          name: world.text.title(random, 1, 4),
          score: random.between(1, 100),
          visible: true,
        })
        yield [i + 1, userId(world, random.skewed(world.userCount)), verb, object, id, payload, pastInstant(random)]
      }
    },
  }
}
