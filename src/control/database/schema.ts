/** The tables of the control database, as queries see them. What they mean is said where they are made: `migrations/`. */
import type { ColumnType, Generated, JSONColumnType } from 'kysely'

/** Written as a Date or not at all, read as a Date. */
type Instant = ColumnType<Date, Date | undefined, Date>
type OptionalInstant = ColumnType<Date | null, Date | null | undefined, Date | null>
type Json = JSONColumnType<object>
type OptionalText = ColumnType<string | null, string | null | undefined, string | null>
type OptionalJson = ColumnType<object | null, string | null | undefined, string | null>

export interface ControlTables {
  readonly server: ServerTable
  readonly chore: ChoreTable
  readonly lease: LeaseTable
  readonly run: RunTable
  readonly schedule: ScheduleTable
  readonly look: LookTable
  readonly health: HealthTable
  readonly maintenance: MaintenanceTable
  readonly answer: AnswerTable
  readonly alerting: AlertingTable
  readonly alert: AlertTable
  readonly alert_change: AlertChangeTable
  readonly notice: NoticeTable
  readonly delivery: DeliveryTable
  readonly appointment: AppointmentTable
  readonly canary: CanaryTable
}

export interface ServerTable {
  readonly id: string
  readonly identity: Json
  readonly version: string
  readonly started_at: Instant
  readonly seen_at: Instant
}

export interface ChoreTable {
  readonly name: string
  readonly claimed_at: Instant
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
  readonly cancelled_by: OptionalText
  readonly changed_at: Instant
}

export interface ScheduleTable {
  readonly cluster: string
  readonly name: string
  readonly definition: string
  readonly since: Instant
  readonly put_off: OptionalJson
}

export interface LookTable {
  readonly cluster: string
  readonly at: Instant
  readonly report: Json
  readonly metrics: Json
}

export interface HealthTable {
  readonly cluster: string
  readonly at: Instant
  readonly formula: number
  readonly value: number | null
  readonly band: string
  readonly verdict: string
  readonly points: number
  readonly caps: Json
  readonly unknown_because: OptionalText
}

export interface MaintenanceTable {
  readonly id: string
  readonly cluster: OptionalText
  readonly rules: OptionalJson
  readonly begins_at: Instant
  readonly ends_at: Instant
  readonly reason: string
  readonly created_by: string
  readonly created_at: Instant
  readonly ended_early_at: OptionalInstant
}

export interface AnswerTable {
  readonly key: string
  readonly fingerprint: string
  readonly claimed_at: Instant
  readonly status: number | null
  readonly body: OptionalText
}

export interface AlertingTable {
  readonly cluster: string
  readonly states: Json
}

export interface AlertTable {
  readonly key: string
  readonly cluster: string
  readonly state: string
  readonly severity: string
  readonly since: Instant
  readonly body: Json
  readonly changed_at: Instant
}

export interface AlertChangeTable {
  readonly id: Generated<string>
  readonly key: string
  readonly at: Instant
  readonly state: string
  readonly by: OptionalText
  readonly note: OptionalText
}

export interface NoticeTable {
  readonly id: string
  readonly cluster: OptionalText
  readonly at: Instant
  readonly body: Json
}

export interface AppointmentTable {
  readonly name: string
  readonly kept_at: ColumnType<Date, Date, Date>
}

export interface CanaryTable {
  readonly notice: string
  readonly channel: string
  readonly code: string
  readonly at: Instant
  readonly confirmed_at: OptionalInstant
  readonly confirmed_by: OptionalText
  readonly proven_at: OptionalInstant
}

export interface DeliveryTable {
  readonly notice: string
  readonly channel: string
  readonly incident: string
  readonly attempts: Generated<number>
  readonly next_at: OptionalInstant
  readonly first_tried_at: OptionalInstant
  readonly tried_at: OptionalInstant
  readonly delivered_at: OptionalInstant
  readonly receipt: OptionalJson
  readonly failure: OptionalJson
}
