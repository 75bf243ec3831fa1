/** The Management API of hosted Supabase, as far as backup, recovery and their watching need it. */
import { RetakeError } from '../../base/errors.ts'
import { list } from '../shape.ts'
import { type CallOptions, ManagementHttp, type ManagementOptions } from './http.ts'
import {
  type Addons,
  type Advisors,
  type ApiKey,
  acceptedShape,
  addonsShape,
  advisorsShape,
  apiKeyShape,
  type BackupSchedule,
  backupsShape,
  type Entitlements,
  entitlementsShape,
  type NativeBackups,
  type Organization,
  organizationShape,
  type Project,
  pgsodiumShape,
  postgresConfigShape,
  projectShape,
  rowsShape,
  type ServiceHealth,
  type StorageBucket,
  scheduleShape,
  serviceHealthShape,
  storageBucketShape,
} from './shapes.ts'

/** What {@link SupabaseManagement.health} can be asked about. */
export type SupabaseService =
  | 'auth'
  | 'db'
  | 'db_postgres_user'
  | 'pooler'
  | 'realtime'
  | 'rest'
  | 'storage'
  | 'pg_bouncer'

const EVERY_SERVICE: readonly SupabaseService[] = ['auth', 'db', 'pooler', 'realtime', 'rest', 'storage']

/**
 * A typed client. Every method throws a RetakeError: `supabase.denied`, `supabase.plan`, `supabase.missing`,
 * `supabase.refused`, `supabase.rate-limited`, `supabase.failed`, `supabase.unreachable`, `supabase.protocol`, `timeout`,
 * `aborted`. Field names are Supabase's own. https://supabase.com/docs/reference/api/introduction
 *
 * ```ts
 * const api = new SupabaseManagement({ token: process.env.SUPABASE_ACCESS_TOKEN })
 * const { pitr_enabled, backups } = await api.backups('abcdefghijklmnopqrst')
 * ```
 */
export class SupabaseManagement {
  readonly #http: ManagementHttp

  constructor(options: ManagementOptions) {
    this.#http = new ManagementHttp(options)
  }

  projects(options: CallOptions = {}): Promise<readonly Project[]> {
    return this.#http.call({ method: 'GET', path: '/v1/projects', shape: list(projectShape), ...options })
  }

  project(ref: string, options: CallOptions = {}): Promise<Project> {
    return this.#http.call({ method: 'GET', path: pathOf(ref), shape: projectShape, ...options })
  }

  /** @param options `services`: default auth, db, pooler, realtime, rest, storage */
  health(
    ref: string,
    options: CallOptions & { readonly services?: readonly SupabaseService[] | undefined } = {},
  ): Promise<readonly ServiceHealth[]> {
    const { services = EVERY_SERVICE, signal } = options
    const query = services.map((service): [string, string] => ['services', service])
    return this.#http.call({
      method: 'GET',
      path: pathOf(ref, '/health'),
      query,
      shape: list(serviceHealthShape),
      signal,
    })
  }

  backups(ref: string, options: CallOptions = {}): Promise<NativeBackups> {
    return this.#http.call({ method: 'GET', path: pathOf(ref, '/database/backups'), shape: backupsShape, ...options })
  }

  /** When the daily backup runs, UTC. `supabase.plan` where the plan has no choice. */
  backupSchedule(ref: string, options: CallOptions = {}): Promise<BackupSchedule> {
    const path = pathOf(ref, '/database/backups/schedule')
    return this.#http.call({ method: 'GET', path, shape: scheduleShape, ...options })
  }

  /**
   * At most three changes in 24 hours; takes effect with the next backup.
   * @param scheduleFor `HH:MM:SS`, UTC
   */
  setBackupSchedule(ref: string, scheduleFor: string, options: CallOptions = {}): Promise<BackupSchedule> {
    return this.#http.call({
      method: 'PATCH',
      path: pathOf(ref, '/database/backups/schedule'),
      body: { schedule_for: scheduleFor },
      shape: scheduleShape,
      ...options,
    })
  }

  /**
   * Restores the project **in place**: it is down meanwhile, and there is no way back. Never repeated by itself, because an
   * answer that was lost may have been a yes. {@link planNativeRestore} is the way that checks first.
   */
  async restorePitr(ref: string, recoveryTimeTargetUnix: number, options: CallOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(recoveryTimeTargetUnix) || recoveryTimeTargetUnix < 0) {
      throw new RetakeError('target.invalid', 'The target of a native restore is a whole number of seconds since 1970.')
    }
    await this.#http.call({
      method: 'POST',
      path: pathOf(ref, '/database/backups/restore-pitr'),
      body: { recovery_time_target_unix: recoveryTimeTargetUnix },
      shape: acceptedShape,
      ...options,
    })
  }

  organization(slug: string, options: CallOptions = {}): Promise<Organization> {
    return this.#http.call({ method: 'GET', path: organizationPath(slug), shape: organizationShape, ...options })
  }

  /** What the plan includes; `backup.retention_days` among it. */
  entitlements(slug: string, options: CallOptions = {}): Promise<Entitlements> {
    const path = `${organizationPath(slug)}/entitlements`
    return this.#http.call({ method: 'GET', path, shape: entitlementsShape, ...options })
  }

  addons(ref: string, options: CallOptions = {}): Promise<Addons> {
    return this.#http.call({ method: 'GET', path: pathOf(ref, '/billing/addons'), shape: addonsShape, ...options })
  }

  advisors(ref: string, kind: 'security' | 'performance', options: CallOptions = {}): Promise<Advisors> {
    return this.#http.call({ method: 'GET', path: pathOf(ref, `/advisors/${kind}`), shape: advisorsShape, ...options })
  }

  /** The settings that were overridden; empty when none was. */
  postgresConfig(ref: string, options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    const path = pathOf(ref, '/config/database/postgres')
    return this.#http.call({ method: 'GET', path, shape: postgresConfigShape, ...options })
  }

  /** @param options `reveal`: the keys themselves, which are secrets; otherwise they come masked */
  apiKeys(
    ref: string,
    options: CallOptions & { readonly reveal?: boolean | undefined } = {},
  ): Promise<readonly ApiKey[]> {
    return this.#http.call({
      method: 'GET',
      path: pathOf(ref, '/api-keys'),
      query: [['reveal', String(options.reveal ?? false)]],
      shape: list(apiKeyShape),
      signal: options.signal,
    })
  }

  storageBuckets(ref: string, options: CallOptions = {}): Promise<readonly StorageBucket[]> {
    const path = pathOf(ref, '/storage/buckets')
    return this.#http.call({ method: 'GET', path, shape: list(storageBucketShape), ...options })
  }

  /** The root key of Vault, 64 hexadecimal digits. A secret: without it a restored Vault stays closed; never log it. */
  async pgsodiumRootKey(ref: string, options: CallOptions = {}): Promise<string> {
    const path = pathOf(ref, '/pgsodium')
    const { root_key } = await this.#http.call({ method: 'GET', path, shape: pgsodiumShape, ...options })
    if (!/^[0-9a-f]{64}$/i.test(root_key)) {
      throw new RetakeError('supabase.protocol', 'The root key is not 64 hexadecimal digits.')
    }
    return root_key
  }

  /** Rows of a statement that only reads; the database refuses one that writes. Small probes only: all rows come as one JSON. */
  queryReadOnly(
    ref: string,
    query: string,
    options: CallOptions = {},
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#http.call({
      method: 'POST',
      path: pathOf(ref, '/database/query'),
      body: { query, read_only: true },
      shape: rowsShape,
      repeatable: true,
      ...options,
    })
  }
}

/** Whether a text can be a project's reference. */
export function isProjectRef(text: string): boolean {
  return /^[a-z]{20}$/.test(text)
}

function pathOf(ref: string, rest = ''): string {
  if (!isProjectRef(ref)) {
    throw new RetakeError('config.invalid', 'A project reference is twenty lower-case letters.', {
      hint: 'It is the first part of https://<reference>.supabase.co.',
    })
  }
  return `/v1/projects/${ref}${rest}`
}

const organizationPath = (slug: string) => `/v1/organizations/${encodeURIComponent(slug)}`
