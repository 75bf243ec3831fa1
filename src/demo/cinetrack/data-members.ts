/** Who uses CineTrack: accounts in `auth`, profiles in `public`, files in `storage`. */
import { type CopyValue, textArray } from './copy-in.ts'
import { followsOf, laterInstant, pastInstant, reviewsOf, STREAM, userId, type World } from './data-world.ts'
import type { GeneratedTable } from './generated-table.ts'
import { Random, uuidOf } from './random.ts'

export const GENRES: readonly string[] = [
  ...['Action', 'Adventure', 'Animation', 'Comedy', 'Crime', 'Documentary', 'Drama', 'Family', 'Fantasy', 'History'],
  ...['Horror', 'Music', 'Mystery', 'Romance', 'Science Fiction', 'Thriller', 'War', 'Western'],
]
export const COUNTRIES: readonly string[] = [
  'BE',
  'BR',
  'CA',
  'DE',
  'DK',
  'ES',
  'FI',
  'FR',
  'GB',
  'IE',
  'IN',
  'IT',
  'JP',
  'KR',
  'MX',
  'NL',
  'NO',
  'PL',
  'PT',
  'SE',
  'US',
]

const NIL_INSTANCE = '00000000-0000-0000-0000-000000000000'
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64)',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1)',
  'CineTrack/4.2 (Android 16)',
]
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./'

interface Member {
  readonly id: string
  readonly username: string
  readonly displayName: string
  readonly email: string
  readonly country: string
  readonly createdAt: string
}

function memberOf(world: World, index: number): Member {
  const random = new Random(world.seed, STREAM.user, index)
  const { given, family } = world.text.person(random)
  const username = `${given}_${family}_${index}`.toLowerCase()
  const createdAt = pastInstant(random)
  const country = random.pick(COUNTRIES)
  return {
    id: userId(world, index),
    username,
    displayName: `${given} ${family}`,
    email: `${username}@example.com`,
    country,
    createdAt,
  }
}

export function memberTables(world: World): GeneratedTable[] {
  return [authUsers(world), identities(world), sessions(world), refreshTokens(world), profiles(world), objects(world)]
}

function authUsers(world: World): GeneratedTable {
  return {
    table: 'auth.users',
    columns: [
      ...[
        'instance_id',
        'id',
        'aud',
        'role',
        'email',
        'encrypted_password',
        'email_confirmed_at',
        'confirmation_token',
      ],
      ...['recovery_token', 'email_change_token_new', 'email_change', 'last_sign_in_at', 'raw_app_meta_data'],
      ...['raw_user_meta_data', 'created_at', 'updated_at'],
    ],
    *rows() {
      for (let i = 0; i < world.userCount; i++) {
        const member = memberOf(world, i)
        const random = new Random(world.seed, STREAM.identity, i)
        const signedIn = laterInstant(random, member.createdAt, 300)
        yield [
          ...[NIL_INSTANCE, member.id, 'authenticated', 'authenticated', member.email, passwordHash(random)],
          ...[member.createdAt, '', '', '', '', signedIn],
          '{"provider": "email", "providers": ["email"]}',
          JSON.stringify({ username: member.username, display_name: member.displayName, country: member.country }),
          ...[member.createdAt, signedIn],
        ]
      }
    },
  }
}

/** Has the form of a bcrypt hash and is nobody's password. */
function passwordHash(random: Random): string {
  let hash = '$2a$10$'
  for (let i = 0; i < 53; i++) hash += BASE64[random.next() & 63]
  return hash
}

function identities(world: World): GeneratedTable {
  return {
    table: 'auth.identities',
    columns: [
      'id',
      'provider_id',
      'user_id',
      'identity_data',
      'provider',
      'last_sign_in_at',
      'created_at',
      'updated_at',
    ],
    *rows() {
      for (let i = 0; i < world.userCount; i++) {
        const { id, email, createdAt } = memberOf(world, i)
        const data = JSON.stringify({ sub: id, email, email_verified: true, phone_verified: false })
        yield [uuidOf(world.seed, STREAM.identity, i), id, id, data, 'email', createdAt, createdAt, createdAt]
      }
    },
  }
}

function sessions(world: World): GeneratedTable {
  return {
    table: 'auth.sessions',
    columns: ['id', 'user_id', 'created_at', 'updated_at', 'aal', 'refreshed_at', 'user_agent', 'ip'],
    *rows() {
      for (let i = 0; i < world.userCount; i++) {
        const random = new Random(world.seed, STREAM.session, i)
        const createdAt = pastInstant(random, 90)
        const refreshedAt = laterInstant(random, createdAt, 20)
        const address = `203.0.${random.between(0, 255)}.${random.between(1, 254)}`
        const id = uuidOf(world.seed, STREAM.session, i)
        yield [id, userId(world, i), createdAt, refreshedAt, 'aal1', refreshedAt, random.pick(AGENTS), address]
      }
    },
  }
}

function refreshTokens(world: World): GeneratedTable {
  return {
    table: 'auth.refresh_tokens',
    columns: ['id', 'instance_id', 'token', 'user_id', 'revoked', 'created_at', 'updated_at', 'parent', 'session_id'],
    *rows() {
      for (let i = 0; i < world.userCount; i++) {
        const random = new Random(world.seed, STREAM.session, i + world.userCount)
        const at = pastInstant(random, 90)
        const token = random.uuid().replaceAll('-', '').slice(0, 22)
        const session = uuidOf(world.seed, STREAM.session, i)
        yield [i + 1, NIL_INSTANCE, token, userId(world, i), random.chance(0.3), at, at, null, session]
      }
    },
  }
}

function profiles(world: World): GeneratedTable {
  return {
    table: 'public.users',
    columns: [
      ...['id', 'username', 'display_name', 'bio', 'country', 'birth_year', 'plan', 'preferences', 'favourite_genres'],
      ...['follower_count', 'following_count', 'review_count', 'last_seen_at', 'created_at', 'updated_at'],
    ],
    *rows() {
      const following = countByOwner(world, followsOf(world))
      const reviews = countByOwner(world, reviewsOf(world))
      for (let i = 0; i < world.userCount; i++) {
        const member = memberOf(world, i)
        const random = new Random(world.seed, STREAM.user, i + world.userCount)
        const seen = laterInstant(random, member.createdAt, 400)
        yield [
          ...[member.id, member.username, member.displayName],
          random.chance(0.6) ? world.text.prose(random, random.between(5, 40)) : null,
          ...[member.country, random.between(1950, 2010), random.pick(['free', 'free', 'free', 'plus', 'pro'])],
          preferences(random),
          textArray(Array.from(new Set([random.pick(GENRES), random.pick(GENRES), random.pick(GENRES)]))),
          ...[world.followerCounts[i] ?? 0, following[i] ?? 0, reviews[i] ?? 0, seen, member.createdAt, seen],
        ]
      }
    },
  }
}

function preferences(random: Random): string {
  return JSON.stringify({
    theme: random.pick(['dark', 'light', 'system']),
    language: random.pick(['en', 'de', 'fr', 'es', 'pt', 'ja']),
    notifications: {
      email: random.chance(0.5),
      push: random.chance(0.7),
      digest: random.pick(['daily', 'weekly', 'never']),
    },
    autoplay: random.chance(0.4),
  })
}

function countByOwner(world: World, relations: Iterable<{ readonly owner: number }>): Int32Array {
  const counts = new Int32Array(world.userCount)
  for (const { owner } of relations) counts[owner] = (counts[owner] ?? 0) + 1
  return counts
}

function objects(world: World): GeneratedTable {
  return {
    table: 'storage.objects',
    columns: [
      ...['id', 'bucket_id', 'name', 'owner', 'owner_id', 'created_at', 'updated_at', 'last_accessed_at', 'metadata'],
      'version',
    ],
    *rows(): Iterable<readonly CopyValue[]> {
      for (let i = 0; i < world.userCount; i += 2) {
        const random = new Random(world.seed, STREAM.object, i)
        const owner = userId(world, i)
        const at = pastInstant(random)
        const metadata = JSON.stringify({
          eTag: `"${random.uuid().replaceAll('-', '')}"`,
          size: random.between(4_000, 900_000),
          mimetype: 'image/webp',
          cacheControl: 'max-age=3600',
          lastModified: at,
          httpStatusCode: 200,
        })
        const id = uuidOf(world.seed, STREAM.object, i)
        yield [id, 'avatars', `${owner}/avatar-${i}.webp`, owner, owner, at, at, at, metadata, random.uuid()]
      }
    },
  }
}
