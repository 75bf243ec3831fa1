/** Ways into the server of a sandbox: as its superuser, through its closed socket, one connection for each database. */
import { userInfo } from 'node:os'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ConnectionTarget } from '../postgres/connection/config.ts'
import { openSql } from '../postgres/connection/sql.ts'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import { sessionOptions } from './isolation.ts'

export interface SandboxAccess {
  readonly superuser: string
  /** One that is there; which ones are is not known before. */
  readonly database: string
  readonly open: (database: string) => Promise<SqlConnection>
}

export interface AccessOptions {
  readonly socketDirectory: string
  readonly port: number
  readonly serverVersionNum: number
  /** Roles that may exist; each is tried. */
  readonly candidates: readonly string[]
  /** A database that may exist; it is tried first. */
  readonly candidateDatabase: string | undefined
  readonly signal: AbortSignal
}

/** Nobody asks for a password, but some role must be named that exists; any of them sees which one is the superuser. */
const USUAL_ROLES = ['postgres', 'supabase_admin']
/** Without `postgres` there is still the one that every cluster keeps. */
const USUAL_DATABASES = ['postgres', 'template1']

/** @throws RetakeError `postgres.auth` when none of the roles exists */
export async function findAccess(options: AccessOptions): Promise<SandboxAccess> {
  const { superuser, database: home } = await findSuperuser(options)
  return {
    superuser,
    database: home,
    open: (database) =>
      openSql(targetOf(options, { user: superuser, database, options: sessionOptions(options.serverVersionNum) }), {
        applicationName: 'retake drill',
        signal: options.signal,
      }),
  }
}

async function findSuperuser(options: AccessOptions): Promise<Pick<SandboxAccess, 'superuser' | 'database'>> {
  const roles = [...new Set([...options.candidates, ...USUAL_ROLES, userInfo().username])]
  const { candidateDatabase: own } = options
  const databases = [...new Set([...(own === undefined ? [] : [own]), ...USUAL_DATABASES])]
  let failure: RetakeError | undefined
  for (const user of roles) {
    for (const database of databases) {
      // Only a superuser may set everything; what any other role may is enough to ask.
      for (const session of [sessionOptions(options.serverVersionNum), '-c statement_timeout=0']) {
        try {
          const name = await askSuperuser(options, { user, database, options: session })
          if (name !== undefined) return { superuser: name, database }
        } catch (error) {
          if (!isRetakeError(error) || error.code === 'aborted') throw error
          failure ??= error
        }
      }
    }
  }
  throw new RetakeError(
    'postgres.auth',
    `The recovered server runs, and none of the roles ${roles.join(', ')} could enter it, so nothing in it was checked.`,
    { hint: 'Name a role of the cluster: retake drill run --role NAME', cause: failure },
  )
}

interface Session {
  readonly user: string
  readonly database: string
  readonly options: string
}

async function askSuperuser(options: AccessOptions, session: Session): Promise<string | undefined> {
  await using sql = await openSql(targetOf(options, session), { signal: options.signal })
  const [row] = await sql.query<{ name: string }>(
    'select rolname as name from pg_catalog.pg_roles where rolsuper and rolcanlogin order by oid limit 1',
  )
  return row?.name
}

function targetOf({ socketDirectory, port }: AccessOptions, session: Session): ConnectionTarget {
  return {
    config: { ...session, host: socketDirectory, port, ssl: false },
    display: `postgres://${session.user}@localhost:${port}/${session.database}`,
  }
}
