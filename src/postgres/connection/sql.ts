/** SQL over one ordinary connection, with errors of ours. */
import type pg from 'pg'
import type { ConnectionTarget } from './config.ts'
import { connect, socketOf, versionNumber } from './connect.ts'
import type { ConnectOptions } from './connect-options.ts'
import { type ConnectionContext, networkError } from './errors.ts'
import type { SqlConnection } from './sql-connection.ts'

/**
 * Connects for SQL.
 *
 *     await using sql = await openSql(resolveConnection(url, process.env))
 *     const [row] = await sql.query<{ size: string }>('SELECT pg_database_size(current_database()) AS size')
 *
 * @throws RetakeError `postgres.unreachable`, `postgres.auth`, `postgres.privilege`, `postgres.tls`, `aborted`
 */
export async function openSql(
  target: ConnectionTarget,
  options: Omit<ConnectOptions, 'replication'> = {},
): Promise<SqlConnection> {
  const { client, context, parameters } = await connect(target, options)
  return new ClientConnection(client, { context, serverVersionNum: versionNumber(parameters.get('server_version')) })
}

const CLOSE_TIMEOUT_MS = 2000

class ClientConnection implements SqlConnection {
  readonly serverVersionNum: number
  readonly #client: pg.Client
  readonly #context: ConnectionContext
  #closed: Promise<void> | undefined

  constructor(client: pg.Client, facts: { readonly context: ConnectionContext; readonly serverVersionNum: number }) {
    this.#client = client
    this.#context = facts.context
    this.serverVersionNum = facts.serverVersionNum
  }

  async query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]> {
    try {
      const result = values ? await this.#client.query<R>(text, [...values]) : await this.#client.query<R>(text)
      return result.rows ?? []
    } catch (error) {
      throw networkError(error, this.#context)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= endClient(this.#client)
    return this.#closed
  }
}

/** Says goodbye and closes; a server that does not answer is left after two seconds. */
export async function endClient(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => socketOf(client).destroy(), CLOSE_TIMEOUT_MS)
  try {
    await client.end()
  } catch {
    socketOf(client).destroy()
  } finally {
    clearTimeout(timer)
  }
}
