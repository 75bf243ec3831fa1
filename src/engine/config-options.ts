/**
 * Every option of Retake, declared once. The type, the command line's flags, the environment variables, the JSON schema and
 * `docs/configuration.md` all come from this table. It imports nothing but more of it at run time, so `retake --help` stays quick.
 */

import type { ScheduleConfig } from '../schedules/schedule.ts'
import { drillOptions } from './drill-options.ts'
import type { LoadGuardConfig } from './load/judge-load.ts'
import { objectiveOptions } from './objective-options.ts'

/** What a value may be; `config-schema.ts` turns it into a check. */
export type ValueRule =
  | { readonly kind: 'text'; readonly pattern?: RegExp; readonly patternText?: string }
  | { readonly kind: 'number'; readonly integer?: true; readonly min?: number; readonly max?: number }
  | { readonly kind: 'mirrors' }
  | { readonly kind: 'tables' }
  | { readonly kind: 'schedules' }
  | { readonly kind: 'loadGuard' }

/** One more place where the whole repository is kept. */
export interface MirrorConfig {
  /** 1 to 32 letters, digits, dashes or underscores; stands in the records of all copies. */
  readonly name: string
  readonly url: string
  /** Where it is, such as a region; copies of different places count for 3-2-1. */
  readonly place?: string | undefined
  /** Whether a disaster at the server spares it. Default: a bucket is, a directory is not. */
  readonly offsite?: boolean | undefined
}

/** How much the loss of a table would hurt. */
export type Tier = 'high' | 'medium' | 'low'

/** A table without which the application does not work. */
export interface CriticalTable {
  /** As the catalog writes it, with its schema: `public.users`. */
  readonly table: string
  readonly tier: Tier
}

export interface OptionDeclaration {
  /** Name in the configuration file is the key of the table. */
  readonly description: string
  readonly env: string
  /** A variable of another program that means the same; looked at when `env` is not set. */
  readonly envFallback?: string
  /** The flag every command takes, as commander writes it; absent: the value never comes from the command line. */
  readonly flag?: string
  /** Printed as it is written in the file. */
  readonly defaultText?: string
  readonly example: string
  /** Never shown, and never a flag: process arguments are readable by every user of the machine. */
  readonly secret?: true
  /** True when a secret may not stand in the configuration file either. */
  readonly environmentOnly?: true
  readonly value: ValueRule
}

const declare = <const T extends Record<string, OptionDeclaration>>(table: T): T => table

/** A name that is part of object keys in the repository. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/
/** PostgreSQL's rule for the name of a replication slot. */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/

export const configOptions = declare({
  repo: {
    description:
      'Where the backups live: a directory, a file:// URL, or a bucket (s3://bucket/prefix?region=…, see docs/buckets.md; credentials come from the environment, as for other AWS tools).',
    env: 'RETAKE_REPO',
    flag: '--repo <url>',
    example: '/var/lib/retake',
    value: { kind: 'text' },
  },
  mirrors: {
    description:
      'Further places that hold the whole repository: a list of `name`, `url`, `place` (such as a region) and `offsite` (true or false). As a variable: `NAME=URL`, then `;place=…` and `;offsite=yes` where wanted, several with blanks between. Set them up with `retake repo sync --set-up`.',
    env: 'RETAKE_MIRRORS',
    example: 'north=s3://retake-north/main?region=eu-north-1;place=eu-north-1',
    value: { kind: 'mirrors' },
  },
  mirrorSync: {
    description:
      'When a write counts as done, an acknowledgement of WAL included: `available`: every copy that can be reached has it; `quorum`: more than half of all; `all`: every one; `primary`: the primary alone, the others follow. What each means for the RPO is in docs/design/mirrors.md.',
    env: 'RETAKE_MIRROR_SYNC',
    flag: '--mirror-sync <rule>',
    defaultText: 'available',
    example: 'available',
    value: {
      kind: 'text',
      pattern: /^(available|quorum|all|primary)$/,
      patternText: 'available, quorum, all or primary',
    },
  },
  place: {
    description: 'Where `repo` is, such as a region; for 3-2-1.',
    env: 'RETAKE_PLACE',
    example: 'eu-central-1',
    value: { kind: 'text' },
  },
  cluster: {
    description: 'The name of the cluster in the repository.',
    env: 'RETAKE_CLUSTER',
    flag: '--cluster <name>',
    defaultText: 'main',
    example: 'main',
    value: {
      kind: 'text',
      pattern: NAME,
      patternText: 'letters, digits, "-" and "_", beginning with a letter or digit, at most 63',
    },
  },
  databaseUrl: {
    description:
      'The server to protect, as libpq writes it: postgres://user@host:5432/postgres, or host=… user=…. The PG* variables and .pgpass fill in what is left out.',
    env: 'RETAKE_DATABASE_URL',
    example: 'postgres://retake@db.internal/postgres?sslmode=verify-full',
    secret: true,
    value: { kind: 'text' },
  },
  slot: {
    description:
      'The replication slot that holds WAL on the server until it is in the repository; `retake init` makes it and records its name.',
    env: 'RETAKE_SLOT',
    defaultText: 'retake_<cluster>',
    example: 'retake_main',
    value: { kind: 'text', pattern: SLOT_NAME, patternText: 'lower-case letters, digits and "_", at most 63' },
  },
  spool: {
    description:
      'The directory of this machine where `retake wal receive --acknowledge local` makes WAL durable before a bucket has it. `retake doctor` and `retake keys retire` look into it.',
    env: 'RETAKE_SPOOL',
    example: '/var/lib/retake/spool',
    value: { kind: 'text' },
  },
  keyFile: {
    description: 'A file that holds the key; readable by you alone (chmod 600).',
    env: 'RETAKE_KEY_FILE',
    flag: '--key-file <file>',
    example: '/etc/retake/key',
    value: { kind: 'text' },
  },
  key: {
    description: 'The key itself.',
    env: 'RETAKE_KEY',
    example: 'RETAKE-KEY-1:…',
    secret: true,
    environmentOnly: true,
    value: { kind: 'text' },
  },
  keyCommand: {
    description: 'A shell command that prints the key, such as a call of your secret manager. It has 30 seconds.',
    env: 'RETAKE_KEY_COMMAND',
    example: 'pass show retake/main',
    value: { kind: 'text' },
  },
  kmsKey: {
    description:
      'A key in AWS KMS that opens the repository: its ARN, id or alias/NAME. Credentials and region come from the standard AWS chain. Add it with `retake keys add --kms`.',
    env: 'RETAKE_KMS_KEY',
    example: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    value: { kind: 'text' },
  },
  passphrase: {
    description: 'A passphrase that opens the repository, instead of a key.',
    env: 'RETAKE_PASSPHRASE',
    example: 'correct horse battery staple',
    secret: true,
    environmentOnly: true,
    value: { kind: 'text' },
  },
  compressionLevel: {
    description: 'zstd level of new frames; higher is smaller and slower.',
    env: 'RETAKE_COMPRESSION_LEVEL',
    example: '3',
    value: { kind: 'number', integer: true, min: 1, max: 19 },
  },
  workers: {
    description:
      'Threads that check, compress and seal; beyond two, each takes some 30 MiB more. Default: by the number of processors, at most eight for a backup.',
    env: 'RETAKE_WORKERS',
    example: '2',
    value: { kind: 'number', integer: true, min: 1, max: 64 },
  },
  postgresBinDirectory: {
    description: 'The bin directory of the PostgreSQL that restores run on, when it is not found by itself.',
    env: 'RETAKE_POSTGRES_BIN_DIR',
    flag: '--postgres-bin <dir>',
    example: '/usr/lib/postgresql/17/bin',
    value: { kind: 'text' },
  },
  backupMaxAgeHours: {
    description:
      'A backup that is older than this is late: `retake status` and `retake health` report danger. A day, and an hour of grace.',
    env: 'RETAKE_BACKUP_MAX_AGE_HOURS',
    defaultText: '25',
    example: '25',
    value: { kind: 'number', min: 1 },
  },
  retentionDays: {
    description:
      '`retake prune` keeps backups that are not older, and every moment of this many days, with the backup before them.',
    env: 'RETAKE_RETENTION_DAYS',
    defaultText: '7',
    example: '30',
    value: { kind: 'number', min: 0, max: 36_500 },
  },
  retentionWalDays: {
    description:
      'For how many days any moment can be restored, when that differs from `retentionDays`; 0: since the newest backup. Older backups keep the WAL that makes them consistent.',
    env: 'RETAKE_RETENTION_WAL_DAYS',
    example: '14',
    value: { kind: 'number', min: 0, max: 36_500 },
  },
  retentionCount: {
    description: 'Keep at least this many of the newest backups.',
    env: 'RETAKE_RETENTION_COUNT',
    example: '3',
    value: { kind: 'number', integer: true, min: 0, max: 100_000 },
  },
  retentionDaily: {
    description: 'Keep the newest backup of each of the last so many days that have one (UTC).',
    env: 'RETAKE_RETENTION_DAILY',
    example: '14',
    value: { kind: 'number', integer: true, min: 0, max: 100_000 },
  },
  retentionWeekly: {
    description: 'Keep the newest backup of each of the last so many ISO weeks that have one (UTC).',
    env: 'RETAKE_RETENTION_WEEKLY',
    example: '8',
    value: { kind: 'number', integer: true, min: 0, max: 100_000 },
  },
  retentionMonthly: {
    description: 'Keep the newest backup of each of the last so many months that have one (UTC).',
    env: 'RETAKE_RETENTION_MONTHLY',
    example: '12',
    value: { kind: 'number', integer: true, min: 0, max: 100_000 },
  },
  retentionYearly: {
    description: 'Keep the newest backup of each of the last so many years that have one (UTC).',
    env: 'RETAKE_RETENTION_YEARLY',
    example: '7',
    value: { kind: 'number', integer: true, min: 0, max: 100_000 },
  },
  pruneGraceHours: {
    description: 'How long `retake prune` waits between giving something up and deleting it.',
    env: 'RETAKE_PRUNE_GRACE_HOURS',
    defaultText: '24',
    example: '24',
    value: { kind: 'number', min: 0, max: 87_600 },
  },
  rpoTargetSeconds: {
    description:
      '`retake status` and `retake health` report danger when the archive is further behind the server than this. The default stands for "0 minutes": less than one.',
    env: 'RETAKE_RPO_TARGET_SECONDS',
    defaultText: '60',
    example: '60',
    value: { kind: 'number', min: 1 },
  },
  criticalTables: {
    description:
      'The tables that must exist, each with its `tier`: `high`, `medium` or `low`; they are looked for in the database that `databaseUrl` names. As a variable: `SCHEMA.TABLE=TIER`, several with blanks between. An empty list: there are none. When it is not set, the ten tables of CineTrack are expected of a database that has at least five of them.',
    env: 'RETAKE_CRITICAL_TABLES',
    example: 'public.users=high public.orders=high public.events=low',
    value: { kind: 'tables' },
  },
  verifyMaxAgeDays: {
    description: '`retake health` reports when the last verification is older than this.',
    env: 'RETAKE_VERIFY_MAX_AGE_DAYS',
    defaultText: '7',
    example: '7',
    value: { kind: 'number', min: 0.01 },
  },
  ...objectiveOptions,
  schedules: {
    description:
      'What is done regularly, and judged by `retake schedules` and `retake health`: a list of `name`, `task` (backup, verify, prune or drill), `cron` and `zone`, and more (docs/schedules.md). As a variable: the same as JSON. An empty list: nothing is.',
    env: 'RETAKE_SCHEDULES',
    defaultText: 'none; `retake schedules` proposes some',
    example: '[{"name": "backup", "task": "backup", "cron": "0 2 * * *", "zone": "Europe/Berlin"}]',
    value: { kind: 'schedules' },
  },
  ...drillOptions,
  loadGuard: {
    description:
      'When the server is under so much stress that a scheduled backup waits, and is slowed while it runs: `activePercent` of its connections (80), `standbyLagSeconds` (60), `lockWaitSeconds` (120), `loadPerProcessor` of the machine (4), each a number or `off`; at most for `maxDelayMinutes` (60). `off`: never (docs/schedules.md). As a variable: `off`, or JSON.',
    env: 'RETAKE_LOAD_GUARD',
    defaultText: 'on, with the numbers in brackets',
    example: '{"activePercent": 90, "maxDelayMinutes": 120}',
    value: { kind: 'loadGuard' },
  },
  supabaseProject: {
    description:
      "The reference of a hosted Supabase project whose own backups are shown and judged beside Retake's (docs/supabase.md): the first part of `https://<reference>.supabase.co`. It needs a management token.",
    env: 'RETAKE_SUPABASE_PROJECT',
    example: 'abcdefghijklmnopqrst',
    value: { kind: 'text', pattern: /^[a-z]{20}$/, patternText: 'twenty lower-case letters' },
  },
  supabaseToken: {
    description:
      'A personal access token for the Management API of Supabase; a scoped one is enough: it may read the project, its database and its organization, and for a native restore write the database.',
    env: 'RETAKE_SUPABASE_TOKEN',
    envFallback: 'SUPABASE_ACCESS_TOKEN',
    example: 'sbp_…',
    secret: true,
    environmentOnly: true,
    value: { kind: 'text' },
  },
  supabaseTokenCommand: {
    description:
      'A shell command that prints the management token, when no variable holds it, such as a call of your secret manager. It has 30 seconds.',
    env: 'RETAKE_SUPABASE_TOKEN_COMMAND',
    example: 'pass show supabase/token',
    value: { kind: 'text' },
  },
  supabaseApiUrl: {
    description:
      'The address of the Management API, for tests and other installations; https, or http on this machine.',
    env: 'RETAKE_SUPABASE_API_URL',
    defaultText: 'https://api.supabase.com',
    example: 'https://api.supabase.com',
    value: { kind: 'text' },
  },
  keyRotationDays: {
    description:
      'How long a key is used before `retake keys status` calls it due and `retake keys rotate --if-due` replaces it. Default: never due.',
    env: 'RETAKE_KEY_ROTATION_DAYS',
    example: '365',
    value: { kind: 'number', min: 1 },
  },
})

export type ConfigOptionName = keyof typeof configOptions

type Declared = typeof configOptions
interface Values {
  readonly text: string
  readonly number: number
  readonly mirrors: readonly MirrorConfig[]
  readonly tables: readonly CriticalTable[]
  readonly schedules: readonly ScheduleConfig[]
  readonly loadGuard: LoadGuardConfig
}

/** What a configuration file, the environment and the flags come to; an option that nobody set is absent. */
export type Config = {
  readonly [K in ConfigOptionName]?: Values[Declared[K]['value']['kind']] | undefined
}

export function optionEntries(): readonly (readonly [ConfigOptionName, OptionDeclaration])[] {
  return Object.entries(configOptions) as [ConfigOptionName, OptionDeclaration][]
}

export const DEFAULT_CLUSTER = 'main'
/** What the copy is called that `repo` names. */
export const ORIGIN = 'origin'
export const DEFAULT_BACKUP_MAX_AGE_HOURS = 25
export const DEFAULT_RPO_TARGET_SECONDS = 60
export const DEFAULT_PRUNE_GRACE_HOURS = 24

/** `retake_<cluster>` in the letters that a slot's name may have. */
export function defaultSlotName(cluster: string): string {
  return `retake_${cluster.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
}
