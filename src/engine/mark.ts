/** `retake mark`: a name for this moment, in the log itself. */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { openSql } from '../postgres/connection/sql.ts'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import type { Retake } from './open.ts'

/** https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP: MAXFNAMELEN - 1. */
const MAX_NAME_BYTES = 63

export interface MarkReport {
  readonly name: string
  /** Where its record ends. Of several marks with one name, the newest counts. */
  readonly lsn: string
  /** The server's clock, ISO 8601 UTC. */
  readonly at: string
  /** As `--at` takes it. */
  readonly target: string
}

/**
 * Writes a restore point. It can be recovered to as soon as its WAL is held.
 *
 * ```ts
 * const { target } = await mark(retake, 'before_deploy_42')
 * ```
 * @throws RetakeError `config.invalid` for a name that is none, `postgres.privilege`, `postgres.*`
 */
export async function mark(
  retake: Retake,
  name: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<MarkReport> {
  if (name === '' || name !== name.trim() || Buffer.byteLength(name) > MAX_NAME_BYTES || /[\p{Cc}]/u.test(name)) {
    throw new RetakeError('config.invalid', `"${name}" cannot be the name of a mark.`, {
      hint: `Use up to ${MAX_NAME_BYTES} bytes without control characters, and without spaces at its ends, such as before_deploy_42.`,
    })
  }
  await using sql = await openSql(retake.target(), { signal })
  await assertPrimary(sql)
  const row = await create(sql, name)
  return { name, lsn: formatLsn(parseLsn(row.lsn)), at: row.at, target: `name:${name}` }
}

async function assertPrimary(sql: SqlConnection): Promise<void> {
  const [row] = await sql.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
  if (!row?.standby) return
  throw new RetakeError('postgres.server', 'The server is a standby, so it writes no WAL of its own and no mark.', {
    hint: 'Configure the address of the primary.',
  })
}

async function create(sql: SqlConnection, name: string): Promise<{ readonly lsn: string; readonly at: string }> {
  try {
    // A restore point by itself is not written to disk before something else is: a transaction with an id is, when it commits.
    await sql.query('begin; set local synchronous_commit = local; select pg_current_xact_id()')
    const [row] = await sql.query<{ lsn: string; at: string }>(
      `select pg_create_restore_point($1)::text as lsn, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
      [name],
    )
    await sql.query('commit')
    if (row) return row
    throw new Error('assertion failed: the server answered without a row')
  } catch (error) {
    if (!isRetakeError(error, 'postgres.privilege')) throw error
    await sql.query('rollback')
    const [role] = await sql.query<{ name: string }>('select quote_ident(current_user) as name')
    throw new RetakeError('postgres.privilege', `The role ${role?.name} may not write restore points.`, {
      hint: `As a superuser: grant execute on function pg_create_restore_point(text) to ${role?.name};`,
      cause: error,
    })
  }
}
