/** The numbered steps by which a control database comes to its present form. One that was released is never changed; a new one follows. */
import { type Kysely, type SchemaModule, sql } from 'kysely'
import type { Migration, MigrationProvider } from 'kysely/migration'

export const SCHEMA = 'retake'

const now = sql`now()`

async function makeServers(tables: SchemaModule): Promise<void> {
  // Who runs. One that has not been seen for long is dead, and its runs are taken over.
  await tables
    .createTable('server')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('identity', 'jsonb', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('seen_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  // What one of them does every now and then, and when one last began it.
  await tables
    .createTable('chore')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('claimed_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  // Who looks after what, until when.
  await tables
    .createTable('lease')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('server', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
    .execute()
}

async function makeRuns(tables: SchemaModule): Promise<void> {
  // Work that was asked for, with what became of it. The id is that of its workflow.
  await tables
    .createTable('run')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('cluster', 'text', (column) => column.notNull())
    .addColumn('task', 'text', (column) => column.notNull())
    .addColumn('options', 'jsonb', (column) => column.notNull())
    .addColumn('started_by', 'text', (column) => column.notNull())
    .addColumn('due_at', 'timestamptz')
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('queued'))
    // As programs read it: what lies between two milliseconds would get lost when a list is read on from there.
    .addColumn('created_at', 'timestamptz', (column) =>
      column.notNull().defaultTo(sql`date_trunc('milliseconds', now())`),
    )
    .addColumn('began_at', 'timestamptz')
    .addColumn('ended_at', 'timestamptz')
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('progress', 'jsonb')
    .addColumn('result', 'jsonb')
    .addColumn('error', 'jsonb')
    .addColumn('cancelled_by', 'text')
    .addColumn('changed_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  await tables.createIndex('run_cluster').on('run').columns(['cluster', 'created_at', 'id']).execute()
  await tables.createIndex('run_changed').on('run').column('changed_at').execute()
}

async function makeSchedules(tables: SchemaModule): Promise<void> {
  // Since when servers keep a schedule as it is now, and which of its runs waits for a calmer primary.
  await tables
    .createTable('schedule')
    .addColumn('cluster', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('definition', 'text', (column) => column.notNull())
    .addColumn('since', 'timestamptz', (column) => column.notNull())
    .addColumn('put_off', 'jsonb')
    .addPrimaryKeyConstraint('schedule_pkey', ['cluster', 'name'])
    .execute()
}

async function makeLooks(tables: SchemaModule): Promise<void> {
  // The last look at each cluster: the whole report, and the metrics of it.
  await tables
    .createTable('look')
    .addColumn('cluster', 'text', (column) => column.primaryKey())
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('report', 'jsonb', (column) => column.notNull())
    .addColumn('metrics', 'jsonb', (column) => column.notNull())
    .execute()
  // The score of every look, with the version of its formula.
  await tables
    .createTable('health')
    .addColumn('cluster', 'text', (column) => column.notNull())
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('formula', 'integer', (column) => column.notNull())
    .addColumn('value', 'integer')
    .addColumn('band', 'text', (column) => column.notNull())
    .addColumn('verdict', 'text', (column) => column.notNull())
    .addColumn('points', 'double precision', (column) => column.notNull())
    .addColumn('caps', 'jsonb', (column) => column.notNull())
    .addColumn('unknown_because', 'text')
    .addPrimaryKeyConstraint('health_pkey', ['cluster', 'at'])
    .execute()
}

async function makeApi(tables: SchemaModule): Promise<void> {
  // Times in which nobody is told.
  await tables
    .createTable('maintenance')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('cluster', 'text')
    .addColumn('rules', 'jsonb')
    .addColumn('begins_at', 'timestamptz', (column) => column.notNull())
    .addColumn('ends_at', 'timestamptz', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('ended_early_at', 'timestamptz')
    .execute()
  // Answers of the API to actions that may be asked for again.
  await tables
    .createTable('answer')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('fingerprint', 'text', (column) => column.notNull())
    .addColumn('claimed_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .addColumn('status', 'integer')
    .addColumn('body', 'text')
    .execute()
}

async function makeAlerts(tables: SchemaModule): Promise<void> {
  // What the rules know of each cluster between two rounds.
  await tables
    .createTable('alerting')
    .addColumn('cluster', 'text', (column) => column.primaryKey())
    .addColumn('states', 'jsonb', (column) => column.notNull())
    .execute()
  // Every alert as it is shown, and what became of it.
  await tables
    .createTable('alert')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('cluster', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('severity', 'text', (column) => column.notNull())
    .addColumn('since', 'timestamptz', (column) => column.notNull())
    .addColumn('body', 'jsonb', (column) => column.notNull())
    .addColumn('changed_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
    .execute()
  await tables
    .createTable('alert_change')
    .addColumn('id', 'bigserial', (column) => column.primaryKey())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('by', 'text')
    .addColumn('note', 'text')
    .execute()
  await tables.createIndex('alert_change_key').on('alert_change').columns(['key', 'id']).execute()
  // What people are told, and its way to each channel: written with the state that it tells of, so that no notice is lost.
  await tables
    .createTable('notice')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('cluster', 'text')
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('body', 'jsonb', (column) => column.notNull())
    .execute()
  await tables
    .createTable('delivery')
    .addColumn('notice', 'text', (column) => column.notNull().references('notice.id').onDelete('cascade'))
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('incident', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('next_at', 'timestamptz')
    .addColumn('first_tried_at', 'timestamptz')
    .addColumn('tried_at', 'timestamptz')
    .addColumn('delivered_at', 'timestamptz')
    .addColumn('receipt', 'jsonb')
    .addColumn('failure', 'jsonb')
    .addPrimaryKeyConstraint('delivery_pkey', ['notice', 'channel'])
    .execute()
  await tables
    .createIndex('delivery_next')
    .on('delivery')
    .column('next_at')
    .where(sql.ref('next_at'), 'is not', null)
    .execute()
  await tables
    .createIndex('delivery_incident')
    .on('delivery')
    .columns(['channel', 'incident', 'delivered_at'])
    .execute()
}

async function makeTelling(tables: SchemaModule): Promise<void> {
  // What is told at set times, and which of them was kept last.
  await tables
    .createTable('appointment')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('kept_at', 'timestamptz', (column) => column.notNull())
    .execute()
  // Notices that a person confirms. They outlive their notice: what was proven stays known.
  await tables
    .createTable('canary')
    .addColumn('notice', 'text', (column) => column.primaryKey())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('code', 'text', (column) => column.notNull().unique())
    .addColumn('at', 'timestamptz', (column) => column.notNull())
    .addColumn('confirmed_at', 'timestamptz')
    .addColumn('confirmed_by', 'text')
    .addColumn('proven_at', 'timestamptz')
    .execute()
  await tables.createIndex('canary_channel').on('canary').columns(['channel', 'at']).execute()
  // How each channel does is asked with every look at a cluster.
  const delivered = tables.createIndex('delivery_channel').on('delivery').columns(['channel', 'delivered_at'])
  await delivered.execute()
  await tables
    .createIndex('delivery_undelivered')
    .on('delivery')
    .columns(['channel', 'tried_at'])
    .where(sql.ref('delivered_at'), 'is', null)
    .execute()
}

const first: Migration = {
  async up(db: Kysely<unknown>) {
    const tables = db.schema.withSchema(SCHEMA)
    const all = [makeServers, makeRuns, makeSchedules, makeLooks, makeApi, makeAlerts, makeTelling]
    for (const make of all) await make(tables)
  },
}

/** In this order. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-servers-runs-health': first,
}

export const migrationProvider: MigrationProvider = { getMigrations: async () => ({ ...migrations }) }
