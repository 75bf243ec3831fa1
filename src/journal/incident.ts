/** What may be the reason for a recovery, and where to recover to. */
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'

export const INCIDENT_KINDS = [
  'mass-delete',
  'mass-update',
  'truncate',
  'drop',
  'drop-database',
  'schema-change',
  'burst',
  'silence',
] as const

export type IncidentKind = (typeof INCIDENT_KINDS)[number]

/** `critical`: most of a table is gone or changed. `warning`: far more than usual. `info`: worth knowing when one looks for a moment. */
export type IncidentSeverity = 'critical' | 'warning' | 'info'

/** A table as it is called; what is not known is left out, and shown as not known. */
export interface TableName {
  readonly database?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  /** Rows that it was thought to have, when the backup was made that this is known from. */
  readonly rows?: number | undefined
  readonly kind: 'table' | 'view' | 'index' | 'toast' | 'sequence' | 'catalog' | 'unknown'
}

export interface IncidentTable {
  readonly file: RelationFile
  readonly name: TableName
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

export interface Incident {
  readonly kind: IncidentKind
  readonly severity: IncidentSeverity
  /** A sentence in plain words. */
  readonly what: string
  readonly at: InstantMicros | undefined
  readonly xid: number | undefined
  /** Of the record that made it so. */
  readonly lsn: Lsn
  /** Those it is about, the worst first. */
  readonly tables: readonly IncidentTable[]
  /** Targets of a recovery, as `--at` takes them. */
  readonly before: string
  readonly after: string
  /** Of a transaction whose beginning was not read: it may have done more. */
  readonly isPartial: boolean
  /** For the order of those that are as severe: rows, or the share of a table. */
  readonly weight: number
}
