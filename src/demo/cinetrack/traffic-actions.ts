/** What CineTrack's users do, as transactions; together they write all ten tables. */
import type { Queryable } from '../content-digest.ts'
import { GENRES } from './data-members.ts'
import { STREAM, userId, type World } from './data-world.ts'
import { type Random, uuidOf } from './random.ts'

export interface ActionContext {
  readonly sql: Queryable
  readonly world: World
  readonly random: Random
  /** The signed-in user. */
  readonly user: string
}

export interface Action {
  readonly kind: string
  /** How often, relative to the others. */
  readonly weight: number
  /** `user`: as the role `authenticated` under row-level security; `platform`: with the connection's own rights. */
  readonly as: 'user' | 'platform'
  run(context: ActionContext): Promise<void>
  /** The transaction is rolled back on purpose. */
  readonly rollsBack?: boolean
}

export const actions: readonly Action[] = [
  { kind: 'watch', weight: 24, as: 'user', run: watch },
  { kind: 'episode', weight: 16, as: 'user', run: trackEpisode },
  { kind: 'review', weight: 7, as: 'user', run: writeReview },
  { kind: 'interact', weight: 14, as: 'user', run: interact },
  { kind: 'list', weight: 6, as: 'user', run: makeList },
  { kind: 'edit-list', weight: 4, as: 'user', run: editList },
  { kind: 'watchlist', weight: 9, as: 'user', run: addToWatchlist },
  { kind: 'follow', weight: 6, as: 'user', run: follow },
  { kind: 'unfollow', weight: 2, as: 'user', run: unfollow },
  { kind: 'read-notifications', weight: 6, as: 'user', run: readNotifications },
  { kind: 'profile', weight: 3, as: 'user', run: editProfile },
  { kind: 'tidy', weight: 2, as: 'user', run: tidy },
  { kind: 'sign-up', weight: 2, as: 'platform', run: signUp },
  { kind: 'changed-mind', weight: 1, as: 'user', run: editProfile, rollsBack: true },
]

async function watch({ sql, world, random, user }: ActionContext): Promise<void> {
  const title = someTitle(world, random)
  await sql.query(
    `insert into public.watched_content (user_id, title_id, rating, watched_minutes, device, rewatch, note)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
    [
      user,
      title,
      random.between(2, 20) / 2,
      random.between(5, 190),
      random.pick(['tv', 'phone', 'laptop']),
      random.chance(0.3),
      null,
    ],
  )
  await sql.query('delete from public.watchlist where user_id = $1 and title_id = $2', [user, title])
  await addActivity({ sql, world, random, user }, { verb: 'watched', type: 'title', id: String(title) })
}

async function trackEpisode({ sql, world, random, user }: ActionContext): Promise<void> {
  // A savepoint that is rolled back: the log carries subtransactions of which some never happened.
  if (random.chance(0.1)) {
    await sql.query('savepoint attempt')
    await sql.query('delete from public.episode_tracking where user_id = $1', [user])
    await sql.query('rollback to savepoint attempt')
  }
  await sql.query(
    `insert into public.episode_tracking (user_id, title_id, season, episode, status, progress_seconds) values ($1, $2, $3, $4, $5, $6)
     on conflict (user_id, title_id, season, episode)
     do update set status = excluded.status, progress_seconds = excluded.progress_seconds, watched_at = now()`,
    [
      user,
      someTitle(world, random),
      1,
      random.between(1, 12),
      random.pick(['watching', 'watched']),
      random.between(10, 3_600),
    ],
  )
}

async function writeReview({ sql, world, random, user }: ActionContext): Promise<void> {
  const words = random.chance(0.03) ? 900 : random.between(15, 120)
  await sql.query(
    `insert into public.reviews (id, user_id, title_id, rating, headline, body, tags, spoiler, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      ...[random.uuid(), user, someTitle(world, random), random.between(2, 20) / 2],
      ...[
        world.text.title(random, 2, 6),
        world.text.prose(random, words),
        [world.text.word(random)],
        random.chance(0.1),
      ],
      JSON.stringify({ source: 'app', draft: random.between(0, 9) }),
    ],
  )
  await addActivity({ sql, world, random, user }, { verb: 'reviewed', type: 'review', id: user })
}

async function interact({ sql, world, random, user }: ActionContext): Promise<void> {
  const review = uuidOf(world.seed, STREAM.review, random.next() % world.reviewCount)
  const comment = random.chance(0.4) ? world.text.prose(random, random.between(4, 30)) : null
  // Through a select, because the review may be gone by now.
  await sql.query(
    `insert into public.review_interactions (review_id, user_id, kind, body)
     select id, $2, $3::public.interaction_kind, $4 from public.reviews where id = $1 on conflict do nothing`,
    [review, user, comment === null ? 'like' : 'comment', comment],
  )
  await sql.query(
    `insert into public.notifications (user_id, actor_id, kind, payload)
     select user_id, $2, $3::public.notification_kind, $4 from public.reviews where id = $1`,
    [
      review,
      user,
      comment === null ? 'like' : 'comment',
      JSON.stringify({ review, text: world.text.words(random, 6) }),
    ],
  )
}

async function makeList({ sql, world, random, user }: ActionContext): Promise<void> {
  const list = random.uuid()
  await sql.query('insert into public.custom_lists (id, user_id, name, description) values ($1, $2, $3, $4)', [
    ...[list, user, world.text.title(random, 1, 4), world.text.prose(random, 8)],
  ])
  const first = someTitle(world, random)
  const titles = Array.from({ length: random.between(1, 5) }, (_, i) => ((first + i * 17) % world.titleCount) + 1)
  await sql.query(
    `insert into public.custom_list_items (list_id, title_id, position)
     select $1, title, row_number() over () from unnest($2::bigint[]) as title on conflict do nothing`,
    [list, titles],
  )
}

async function editList({ sql, world, random, user }: ActionContext): Promise<void> {
  await sql.query(
    `update public.custom_lists set description = $2, cover = $3
     where id = (select id from public.custom_lists where user_id = $1 order by created_at desc limit 1)`,
    [
      user,
      world.text.prose(random, random.between(3, 30)),
      JSON.stringify({ colour: random.between(0, 0xffffff).toString(16) }),
    ],
  )
  await sql.query(
    `delete from public.custom_list_items where (list_id, title_id) in (
       select i.list_id, i.title_id from public.custom_list_items i join public.custom_lists l on l.id = i.list_id
       where l.user_id = $1 order by i.added_at desc limit 1)`,
    [user],
  )
}

async function addToWatchlist({ sql, world, random, user }: ActionContext): Promise<void> {
  await sql.query(
    `insert into public.watchlist (user_id, title_id, priority, note, remind_at) values ($1, $2, $3, $4, now() + interval '3 days')
     on conflict (user_id, title_id) do update set priority = excluded.priority, note = excluded.note`,
    [user, someTitle(world, random), random.between(1, 5), random.chance(0.3) ? world.text.words(random, 5) : null],
  )
}

async function follow({ sql, world, random, user }: ActionContext): Promise<void> {
  const other = someUser(world, random)
  if (other === user) return
  await sql.query('insert into public.follows (follower_id, followed_id) values ($1, $2) on conflict do nothing', [
    user,
    other,
  ])
  await sql.query(
    `insert into public.notifications (user_id, actor_id, kind, payload) values ($1, $2, 'follow', '{}')`,
    [other, user],
  )
}

async function unfollow({ sql, user }: ActionContext): Promise<void> {
  await sql.query(
    `delete from public.follows where follower_id = $1 and followed_id in
       (select followed_id from public.follows where follower_id = $1 order by created_at desc limit 1)`,
    [user],
  )
}

async function readNotifications({ sql, user }: ActionContext): Promise<void> {
  await sql.query(
    `update public.notifications set read_at = now() where id in
       (select id from public.notifications where user_id = $1 and read_at is null order by created_at desc limit 5)`,
    [user],
  )
}

async function editProfile({ sql, world, random, user }: ActionContext): Promise<void> {
  await sql.query(
    `update public.users set bio = $2, last_seen_at = now(), favourite_genres = $3,
       preferences = jsonb_set(preferences, '{theme}', to_jsonb($4::text)) where id = $1`,
    [user, world.text.prose(random, 12), [random.pick(GENRES)], random.pick(['dark', 'light', 'system'])],
  )
}

async function tidy({ sql, user }: ActionContext): Promise<void> {
  await sql.query(
    'delete from public.activity_feed where id in (select id from public.activity_feed where user_id = $1 order by id limit 2)',
    [user],
  )
  await sql.query(
    'delete from public.notifications where id in (select id from public.notifications where user_id = $1 and read_at is not null order by id limit 2)',
    [user],
  )
}

async function signUp({ sql, world, random }: ActionContext): Promise<void> {
  const id = random.uuid()
  const { given, family } = world.text.person(random)
  const username = `${given}_${family}_${id.slice(0, 8)}`.toLowerCase()
  const email = `${username}@example.com`
  await sql.query(
    `insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at, confirmation_token, recovery_token,
       email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
     values ($1, 'authenticated', 'authenticated', $2, '', now(), '', '', '', '', '{"provider": "email"}', $3, now(), now())`,
    [id, email, JSON.stringify({ username, display_name: `${given} ${family}` })],
  )
  await sql.query(
    `insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
     values ($1::text, $1::uuid, $2, 'email', now(), now())`,
    [id, JSON.stringify({ sub: id, email })],
  )
}

async function addActivity(
  { sql, world, random, user }: ActionContext,
  what: { readonly verb: string; readonly type: string; readonly id: string },
): Promise<void> {
  await sql.query(
    'insert into public.activity_feed (user_id, verb, object_type, object_id, payload) values ($1, $2, $3, $4, $5)',
    [...[user, what.verb, what.type, what.id, JSON.stringify({ name: world.text.title(random, 1, 3) })]],
  )
}

function someTitle(world: World, random: Random): number {
  return random.skewed(world.titleCount) + 1
}

export function someUser(world: World, random: Random): string {
  return userId(world, random.skewed(world.userCount))
}
