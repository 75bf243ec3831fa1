import { CopySession, type TextRow } from '../../postgres/replication/copy-session.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'
import { databaseOf, openAt, type TablesAtOptions } from './open-tables.ts'
import { describeRecovery, type RecoveryFacts } from './restore-tables.ts'

export interface OpenServerOptions extends Omit<TablesAtOptions, 'tables'>, OperationOptions {
  /** Only these, in seconds instead of minutes; nothing else can be read then. Default: the whole cluster. */
  readonly tables?: readonly string[] | undefined
  /** From then on whoever opens a server later removes this one, even if this process lives. Default: never. */
  readonly until?: Date | undefined
}

/** A server as it was at a moment. It goes when this is disposed, and when this process has died, with the next one that is opened. */
export interface OpenedServer extends AsyncDisposable {
  readonly facts: RecoveryFacts
  /** How to reach it, on this machine alone, as libpq takes it. Who may enter the directory of the socket needs no password. */
  readonly connection: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly database: string
  }
  /** One or several statements; the rows of the last, as text. @throws RetakeError `postgres.error`, `aborted` */
  query(statements: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<readonly TextRow[]>
}

/**
 * Opens a server as it was at a moment, out of the backups, beside everything that runs: nobody outside of this machine reaches it, nothing runs
 * in it by itself, and what is written to it is thrown away.
 *
 * ```ts
 * await using server = await openServer(retake, { at: '2026-11-22T09:04:00Z', tables: ['shop.reviews'] }).result
 * console.log(await server.query('select count(*) from shop.reviews'))
 * ```
 * @throws RetakeError by its `result`: as `restoreTables`
 */
export function openServer(retake: Retake, options: OpenServerOptions): Operation<OpenedServer> {
  return startOperation(async (context) => {
    const recovered = await openAt(retake, { ...options, tables: options.tables ?? [], ...context })
    return describe(recovered, databaseOf(retake, options))
  }, options)
}

function describe(recovered: RecoveredTables, databaseName: string): OpenedServer {
  const { target } = recovered
  const { host = '', port = 0, user = '', database = databaseName } = target.config
  return {
    facts: describeRecovery(recovered, database),
    connection: { host, port, user, database },
    async query(statements, { signal } = {}) {
      await using session = await CopySession.open(target, { applicationName: 'retake open', signal })
      // What people write means the same as in their own sessions.
      await session.query(`set search_path = "$user", public`)
      return await session.query(statements)
    },
    [Symbol.asyncDispose]: () => recovered[Symbol.asyncDispose](),
  }
}
