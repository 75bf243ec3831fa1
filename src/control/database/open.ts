/**
 * The control database: what servers know of each other, of the work and of what they saw. A cache and a history (R4): whoever loses
 * it loses no backup, and a new one fills itself from the repositories.
 */
import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import type pg from 'pg'
import { RetakeError, toRetakeError } from '../../base/errors.ts'
import { type ConnectionTarget, resolveConnection } from '../../postgres/connection/config.ts'
import { openPool } from '../../postgres/connection/pool.ts'
import { migrationProvider, SCHEMA } from './migrations.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { startOwnServer } from './own-server.ts'
import type { ControlTables } from './schema.ts'

export interface ControlDatabaseOptions {
  /** An outside server, as libpq writes it. Default: one of our own in `directory`. */
  readonly url?: string | undefined
  /** Where our own server keeps its data; made when it is not there. */
  readonly directory: string
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ControlDatabase extends AsyncDisposable {
  readonly db: Kysely<ControlTables>
  readonly pool: pg.Pool
  /** For people; never a password. */
  readonly display: string
  readonly kind: 'own' | 'outside'
  /** Of the server that it is on; undefined where it may not be asked. */
  readonly systemIdentifier: string | undefined
}

const MOST_CONNECTIONS = 20

/**
 * Opens the control database and brings it to its present form. Several servers may do so at once.
 * @throws RetakeError `control.unavailable`
 */
export async function openControlDatabase(options: ControlDatabaseOptions): Promise<ControlDatabase> {
  const { url, directory, env = {}, signal } = options
  await using stack = new AsyncDisposableStack()
  try {
    const target =
      url === undefined ? stack.use(await startOwnServer({ directory, signal })).target() : resolveConnection(url, env)
    const pool = await openControlPool(target, signal)
    stack.defer(() => pool.end())
    const db = new Kysely<ControlTables>({ dialect: new PostgresDialect({ pool }) }).withSchema(SCHEMA)
    await oneAtATime(pool, () => migrate(db))
    const systemIdentifier = await readSystemIdentifier(pool)
    const owned = stack.move()
    return {
      db,
      pool,
      display: target.display,
      kind: url === undefined ? 'own' : 'outside',
      systemIdentifier,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    throw unavailable(error, url === undefined ? `in ${directory}` : 'of DATABASE_URL')
  }
}

function openControlPool(target: ConnectionTarget, signal: AbortSignal | undefined): Promise<pg.Pool> {
  return openPool(target, { max: MOST_CONNECTIONS, applicationName: 'retake serve', signal })
}

function unavailable(cause: unknown, where: string): RetakeError {
  const error = toRetakeError(cause)
  if (error.code === 'aborted' || error.code === 'control.unavailable') return error
  return new RetakeError(
    'control.unavailable',
    `The control database ${where} cannot be used: ${error.message} Backups, and restores with the command, do not need it.`,
    { hint: error.hint ?? 'Correct what the message says and start the server again.', details: error.details, cause },
  )
}

async function migrate(db: Kysely<ControlTables>): Promise<void> {
  const migrator = new Migrator({ db, provider: migrationProvider, migrationTableSchema: SCHEMA })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  // The library refuses a history that holds steps it does not know.
  if (!/corrupted migrations/.test(String(error))) throw error
  throw new RetakeError('control.unavailable', 'The control database was brought to its form by a newer Retake.', {
    hint: 'Run that version here as well.',
  })
}

async function readSystemIdentifier(pool: pg.Pool): Promise<string | undefined> {
  try {
    const { rows } = await pool.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()')
    return rows[0]?.id
  } catch {
    return undefined
  }
}
