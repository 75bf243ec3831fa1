/** A line for short questions to a server during long work: opened again when it was cut while idle. */
import { isRetakeError } from '../../base/errors.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'

export class ServerLine implements AsyncDisposable {
  readonly #open: () => Promise<SqlConnection>
  #connection: Promise<SqlConnection> | undefined

  constructor(
    target: ConnectionTarget,
    options: {
      readonly applicationName?: string | undefined
      readonly connectTimeoutMs?: number | undefined
      readonly signal?: AbortSignal | undefined
    },
  ) {
    const { applicationName, connectTimeoutMs, signal } = options
    this.#open = () => openSql(target, { applicationName, connectTimeoutMs, signal })
  }

  /** Asks once more on a fresh connection when the first one turns out to be dead; so only for what may be asked twice. */
  async query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]> {
    const wasOpen = this.#connection !== undefined
    this.#connection ??= this.#open()
    try {
      return await (await this.#connection).query<R>(text, values)
    } catch (error) {
      const broken = this.#connection
      this.#connection = undefined
      await close(broken)
      if (!wasOpen || !isRetakeError(error, 'postgres.connection-lost')) throw error
      return this.query<R>(text, values)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    await close(connection)
  }
}

/** Closing what is broken must not hide why it broke. */
async function close(connection: Promise<SqlConnection> | undefined): Promise<void> {
  try {
    await (await connection)?.[Symbol.asyncDispose]()
  } catch {
    // It never opened, or is gone: there is nothing left to close.
  }
}
