/**
 * The answers of the Management API as far as they are used. Names are Supabase's. Fields that were seen missing, or that only
 * newer versions send, are optional; enumerations are texts, because new members appear without notice.
 * https://api.supabase.com/api/v1
 */
import { anything, bool, list, nullable, number, object, optional, record, type Shaped, text } from '../shape.ts'

export const projectShape = object({
  id: text,
  ref: optional(text),
  name: text,
  region: text,
  organization_id: optional(text),
  organization_slug: optional(text),
  created_at: optional(text),
  /** `ACTIVE_HEALTHY`, `INACTIVE` (paused), `RESTORING`, `RESTORE_FAILED`, … */
  status: text,
  database: optional(
    object({
      host: text,
      version: optional(text),
      postgres_engine: optional(text),
      release_channel: optional(text),
    }),
  ),
})

export const backupShape = object({
  id: number,
  is_physical_backup: optional(bool),
  /** `COMPLETED`, `FAILED`, `PENDING`, `REMOVED`, `ARCHIVED` or `CANCELLED`. */
  status: text,
  inserted_at: text,
})

/** `walg_enabled` does not mean point-in-time recovery; `backups` may be empty although there are backups (with PITR, or on the free plan). */
export const backupsShape = object({
  region: text,
  walg_enabled: bool,
  pitr_enabled: bool,
  backups: list(backupShape),
  physical_backup_data: object({
    earliest_physical_backup_date_unix: optional(number),
    latest_physical_backup_date_unix: optional(number),
  }),
})

export const scheduleShape = object({
  /** `HH:MM:SS`, UTC. */
  schedule_for: text,
  updated_at: optional(text),
})

export const serviceHealthShape = object({
  name: text,
  healthy: optional(bool),
  status: text,
  error: optional(text),
  info: optional(anything),
})

export const organizationShape = object({
  id: text,
  slug: optional(text),
  name: text,
  /** `free`, `pro`, `team`, `enterprise` or `platform`. */
  plan: optional(text),
})

export const entitlementsShape = object({
  entitlements: list(
    object({
      feature: object({ key: text, type: optional(text) }),
      hasAccess: bool,
      type: text,
      config: optional(
        object({
          enabled: optional(bool),
          value: optional(number),
          unlimited: optional(bool),
          unit: optional(text),
          set: optional(list(anything)),
        }),
      ),
    }),
  ),
})

const variantShape = object({
  /** Such as `pitr_7`, `ci_small`. */
  id: text,
  name: optional(text),
  price: optional(
    object({ description: optional(text), type: optional(text), interval: optional(text), amount: optional(number) }),
  ),
  meta: optional(anything),
})

export const addonsShape = object({
  selected_addons: list(object({ type: text, variant: variantShape })),
  available_addons: list(object({ type: text, name: optional(text), variants: list(variantShape) })),
})

export const advisorsShape = object({
  lints: list(
    object({
      name: text,
      title: optional(text),
      /** `ERROR`, `WARN` or `INFO`. */
      level: text,
      facing: optional(text),
      categories: optional(list(text)),
      description: optional(text),
      detail: optional(text),
      remediation: optional(text),
      metadata: optional(anything),
      cache_key: optional(text),
    }),
  ),
})

/** Only settings that were overridden; empty when none was. */
export const postgresConfigShape = record(anything)

export const apiKeyShape = object({
  name: text,
  id: optional(text),
  /** `legacy`, `publishable` or `secret`. */
  type: optional(text),
  /** A secret when it was asked for with `reveal`; masked otherwise. */
  api_key: optional(text),
  prefix: optional(text),
  hash: optional(text),
  description: optional(text),
  secret_jwt_template: optional(object({ role: optional(text) })),
  inserted_at: optional(text),
  updated_at: optional(text),
})

export const storageBucketShape = object({
  id: text,
  name: text,
  owner: optional(text),
  public: optional(bool),
  created_at: optional(text),
  updated_at: optional(text),
})

export const pgsodiumShape = object({ root_key: text })

export const rowsShape = list(record(anything))

/** `{}`, nothing, or something newer: a restore that was accepted says no more. */
export const acceptedShape = nullable(record(anything))

export type Project = Shaped<typeof projectShape>
export type NativeBackup = Shaped<typeof backupShape>
export type NativeBackups = Shaped<typeof backupsShape>
export type BackupSchedule = Shaped<typeof scheduleShape>
export type ServiceHealth = Shaped<typeof serviceHealthShape>
export type Organization = Shaped<typeof organizationShape>
export type Entitlements = Shaped<typeof entitlementsShape>
export type Addons = Shaped<typeof addonsShape>
export type Advisors = Shaped<typeof advisorsShape>
export type ApiKey = Shaped<typeof apiKeyShape>
export type StorageBucket = Shaped<typeof storageBucketShape>
