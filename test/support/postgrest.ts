/**
 * The part of PostgREST that counting tables needs, in front of a real PostgreSQL: roles by the key's `role` claim, row-level
 * security and privileges decided by the server itself, `Content-Range`, and PostgREST's own errors and statuses. A real
 * PostgREST is a Haskell program that no registry we use has. https://docs.postgrest.org/en/stable/references/errors.html
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'

export interface PostgrestServer extends AsyncDisposable {
  readonly url: string
  /** Reads the schema again, as `NOTIFY pgrst` does; until then a table that is gone is still remembered. */
  reload(): Promise<void>
  close(): Promise<void>
}

interface Asked {
  readonly role: string
  readonly schema: string
  readonly table: string
  readonly count: string | undefined
}

/** A key with this role, as Supabase's legacy keys are; the signature is not looked at here. */
export function keyOf(role: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ role, iss: 'supabase', ref: 'abcdefghijklmnopqrst' })}.c2lnbmF0dXJl`
}

export async function startPostgrest(target: ConnectionTarget): Promise<PostgrestServer> {
  let remembered = await readSchema(target)
  const server = createServer((request, response) => {
    answer(request, response, { target, remembered }).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reload: async () => {
      remembered = await readSchema(target)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function withClient<T>(target: ConnectionTarget, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(target.config)
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function readSchema(target: ConnectionTarget): Promise<Set<string>> {
  const sql = `select schemaname || '.' || tablename as name from pg_tables where schemaname = 'public'`
  return withClient(target, async (client) => new Set((await client.query(sql)).rows.map(({ name }) => name as string)))
}

function readRequest(request: IncomingMessage): Asked {
  const url = new URL(request.url ?? '/', 'http://test')
  const [, , , table = ''] = url.pathname.split('/')
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? 'e30', 'base64url').toString()) as { role?: string }
  return {
    role: claims.role ?? 'anon',
    schema: String(request.headers['accept-profile'] ?? 'public'),
    table: decodeURIComponent(table),
    count: /count=(\w+)/.exec(String(request.headers.prefer ?? ''))?.[1],
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { target, remembered }: { readonly target: ConnectionTarget; readonly remembered: ReadonlySet<string> },
): Promise<void> {
  const send = (status: number, { body, range }: { body: object; range?: string }) => {
    response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      ...(range === undefined ? {} : { 'content-range': range }),
    })
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body))
  }
  if (request.headers.apikey === undefined) {
    return send(401, { body: { message: 'No API key found in request' } })
  }
  const asked = readRequest(request)
  const name = `${asked.schema}.${asked.table}`
  if (!remembered.has(name)) {
    const message = `Could not find the table '${name}' in the schema cache`
    return send(404, { body: { code: 'PGRST205', details: null, hint: null, message } })
  }
  try {
    const total = await withClient(target, (client) => count(client, asked))
    const range = total === undefined ? '*/*' : total === 0 ? '*/0' : `0-${total - 1}/${total}`
    send(200, { body: [], range })
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    // What has no SQLSTATE did not come from the server: there is no connection to it.
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code)) {
      const down = 'Database connection error. Retrying the connection.'
      return send(503, { body: { code: 'PGRST001', details: message, hint: null, message: down } })
    }
    const status = code === '42501' ? (asked.role === 'anon' ? 401 : 403) : code === '42P01' ? 404 : 500
    send(status, { body: { code, details: null, hint: null, message } })
  }
}

/** As PostgREST does it: the role for one transaction, with its own settings. */
async function count(client: pg.Client, { role, schema, table, count }: Asked): Promise<number | undefined> {
  const relation = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`
  await client.query('begin')
  await client.query(`set local role ${pg.escapeIdentifier(role)}`)
  const timeout = await client.query(
    `select split_part(setting, '=', 2) as ms from pg_roles, unnest(rolconfig) as setting
     where rolname = $1 and setting like 'statement_timeout=%'`,
    [role],
  )
  if (timeout.rows[0]) await client.query(`set local statement_timeout = '${timeout.rows[0].ms as string}'`)
  if (count === 'exact') {
    return Number((await client.query(`select count(*) as n from ${relation}`)).rows[0].n)
  }
  await client.query(`select * from ${relation} limit 0`)
  if (count !== 'planned') return undefined
  const plan = await client.query(`explain (format json) select * from ${relation}`)
  return Number(plan.rows[0]['QUERY PLAN'][0].Plan['Plan Rows'])
}
