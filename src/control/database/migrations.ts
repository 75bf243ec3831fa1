/** The numbered steps by which a control database comes to its present form. One that was released is never changed; a new one follows. */
import { type Kysely, sql } from 'kysely'
import type { Migration, MigrationProvider } from 'kysely/migration'

export const SCHEMA = 'retake'

type Database = Kysely<unknown>

const first: Migration = {
  async up(db: Database) {
    const now = sql`now()`
    const tables = db.schema.withSchema(SCHEMA)
    // Who runs. One that has not been seen for long is dead, and its runs are taken over.
    await tables
      .createTable('server')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('identity', 'jsonb', (column) => column.notNull())
      .addColumn('version', 'text', (column) => column.notNull())
      .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
      .addColumn('seen_at', 'timestamptz', (column) => column.notNull().defaultTo(now))
      .execute()
    // Who looks after what, until when.
    await tables
      .createTable('lease')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('server', 'text', (column) => column.notNull())
      .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
      .execute()
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
      .execute()
    await tables.createIndex('run_cluster').on('run').columns(['cluster', 'created_at', 'id']).execute()
    // The last look at each cluster: the whole report.
    await tables
      .createTable('look')
      .addColumn('cluster', 'text', (column) => column.primaryKey())
      .addColumn('at', 'timestamptz', (column) => column.notNull())
      .addColumn('report', 'jsonb', (column) => column.notNull())
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
      .addPrimaryKeyConstraint('health_pkey', ['cluster', 'at'])
      .execute()
  },
}

/** In this order. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-servers-runs-health': first,
}

export const migrationProvider: MigrationProvider = { getMigrations: async () => ({ ...migrations }) }
