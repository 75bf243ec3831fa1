/** The tables of the control database, as queries see them. What they mean is said where they are made: `migrations/`. */
import type { ColumnType, Generated, JSONColumnType } from 'kysely'

/** Written as a Date or not at all, read as a Date. */
type Instant = ColumnType<Date, Date | undefined, Date>
type OptionalInstant = ColumnType<Date | null, Date | null | undefined, Date | null>
type Json = JSONColumnType<object>
type OptionalJson = ColumnType<object | null, string | null | undefined, string | null>

export interface ControlTables {
  readonly server: ServerTable
  readonly lease: LeaseTable
  readonly run: RunTable
  readonly look: LookTable
  readonly health: HealthTable
}

export interface ServerTable {
  readonly id: string
  readonly identity: Json
  readonly version: string
  readonly started_at: Instant
  readonly seen_at: Instant
}

export interface LeaseTable {
  readonly name: string
  readonly server: string
  readonly expires_at: Instant
}

export interface RunTable {
  readonly id: string
  readonly cluster: string
  readonly task: string
  readonly options: Json
  readonly started_by: string
  readonly due_at: OptionalInstant
  readonly state: Generated<string>
  readonly created_at: Instant
  readonly began_at: OptionalInstant
  readonly ended_at: OptionalInstant
  readonly attempts: Generated<number>
  readonly progress: OptionalJson
  readonly result: OptionalJson
  readonly error: OptionalJson
  readonly cancelled_by: ColumnType<string | null, string | null | undefined, string | null>
}

export interface LookTable {
  readonly cluster: string
  readonly at: Instant
  readonly report: Json
}

export interface HealthTable {
  readonly cluster: string
  readonly at: Instant
  readonly formula: number
  readonly value: number | null
  readonly band: string
  readonly verdict: string
}
