/** The database through Supabase's REST endpoint (PostgREST): which tables are there, and how many rows the key may see. */
import type { Clock } from '../base/clock.ts'
import { isRetakeError } from '../base/errors.ts'
import { assertAddress, assertHeaderSafe, type ExchangeAnswer, exchange, type Fetch, redact } from './exchange.ts'
import { quoteBody } from './management/answers.ts'

const PEER = "the project's REST endpoint"

export interface RestOptions {
  /** `https://<reference>.supabase.co`. */
  readonly url: string
  /** The anon or service key (a JWT), or a publishable or secret one. */
  readonly key: string
  readonly fetch?: Fetch | undefined
  readonly timeoutMs: number
  readonly clock: Clock
}

/** What one table's counting told. */
export interface TableAnswer {
  readonly state: 'present' | 'missing' | 'unknown'
  readonly rows?: number | undefined
  /** `estimated`: counting them took longer than the role may take. */
  readonly rowsAre?: 'exact' | 'estimated' | undefined
  /** Whether the answer needed the database itself; PostgREST answers some things from memory. */
  readonly database: 'answered' | 'down' | 'unknown'
  readonly latencyMs?: number | undefined
  readonly reason?: string | undefined
}

type Verdict = Omit<TableAnswer, 'latencyMs'>

export class SupabaseRest {
  /** Whose eyes counts are made with: `anon`, `service_role`, or another role that the key names. */
  readonly role: string
  readonly #options: Omit<RestOptions, 'fetch'> & { readonly fetch: Fetch }

  /** @throws RetakeError `config.invalid` */
  constructor(options: RestOptions) {
    const key = assertHeaderSafe(options.key, 'The Supabase key')
    this.#options = {
      url: assertAddress(options.url, 'The Supabase address', { anyHttp: true }),
      key,
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      timeoutMs: options.timeoutMs,
      clock: options.clock,
    }
    this.role = roleOfKey(key)
  }

  /**
   * Counts a table's rows as the key's role sees them (row-level security applies to all but `service_role`). HEAD transfers
   * no row; its refusals come without words, so they are asked for with a GET of no rows.
   * @throws RetakeError `aborted`; everything else is part of the answer
   */
  async table(
    { schema, name }: { readonly schema: string; readonly name: string },
    signal?: AbortSignal,
  ): Promise<TableAnswer> {
    const query = { schema, path: `/rest/v1/${encodeURIComponent(name)}?select=*`, signal }
    try {
      const { clock } = this.#options
      const begunMs = clock.monotonicMs()
      const head = await this.#ask({ ...query, method: 'HEAD', prefer: 'count=exact' })
      const latencyMs = Math.round((clock.monotonicMs() - begunMs) * 10) / 10
      const verdict = isSuccess(head) ? readCount(head, 'exact') : undefined
      if (verdict) return { ...verdict, latencyMs }
      const answer = await this.#ask({ ...query, method: 'GET', path: `${query.path}&limit=0` })
      if (isSuccess(answer)) return { ...(await this.#estimate(query)), latencyMs }
      return { ...readRefusal(answer, [this.#options.key]), latencyMs }
    } catch (error) {
      if (!isRetakeError(error) || error.code === 'aborted') throw error
      return { state: 'unknown', database: 'unknown', reason: error.message }
    }
  }

  /** A GET of no rows succeeded where the exact count did not: the planner's figure is what can be had. */
  async #estimate(query: { schema: string; path: string; signal: AbortSignal | undefined }): Promise<Verdict> {
    const head = await this.#ask({ ...query, method: 'HEAD', prefer: 'count=planned' })
    const counted = isSuccess(head) ? readCount(head, 'estimated') : undefined
    return counted ?? { state: 'present', database: 'answered', reason: 'The rows could not be counted in time.' }
  }

  #ask(request: {
    readonly method: 'GET' | 'HEAD'
    readonly path: string
    readonly schema: string
    readonly prefer?: string
    readonly signal: AbortSignal | undefined
  }): Promise<ExchangeAnswer> {
    const { url, key, fetch, timeoutMs } = this.#options
    return exchange({
      url: `${url}${request.path}`,
      method: request.method,
      headers: {
        apikey: key,
        // The newer keys are no JWTs and go into `apikey` only.
        ...(isJwt(key) ? { authorization: `Bearer ${key}` } : {}),
        'accept-profile': request.schema,
        ...(request.prefer === undefined ? {} : { prefer: request.prefer }),
      },
      fetch,
      timeoutMs,
      signal: request.signal,
      peer: PEER,
      secrets: [key],
    })
  }
}

const isSuccess = ({ status }: ExchangeAnswer) => status >= 200 && status < 300
const isJwt = (key: string) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(key)

/** `Content-Range: 0-24/3573`; an empty table has a star before the slash. */
function readCount({ headers }: ExchangeAnswer, rowsAre: 'exact' | 'estimated'): Verdict | undefined {
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
  return total === undefined ? undefined : { state: 'present', rows: Number(total), rowsAre, database: 'answered' }
}

/** https://docs.postgrest.org/en/stable/references/errors.html */
function readRefusal({ status, text }: Pick<ExchangeAnswer, 'status' | 'text'>, secrets: readonly string[]): Verdict {
  const code = codeOf(text)
  const said = quoteBody(redact(text, secrets))
  const reason = `${status}${said === '' ? '' : `: ${said}`}`
  // Even reading no row took longer than the role may take.
  if (code === '57014') return { state: 'present', database: 'answered', reason }
  // The relation is known and the role may not read it: that is an answer of the database.
  if (code === '42501')
    return { state: 'present', database: 'answered', reason: `not readable with this key (${reason})` }
  if (code === '42P01') return { state: 'missing', database: 'answered', reason }
  // From PostgREST's memory of the schema, which says nothing about whether the database answers now.
  if (code === 'PGRST205') return { state: 'missing', database: 'unknown', reason }
  if (/^PGRST00[0-3]$/.test(code ?? '')) return { state: 'unknown', database: 'down', reason }
  if (status === 540) return { state: 'unknown', database: 'down', reason: `the project is paused (${reason})` }
  if (/^(08|53|57P0)/.test(code ?? '')) return { state: 'unknown', database: 'down', reason }
  return { state: 'unknown', database: 'unknown', reason }
}

function codeOf(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as unknown
    if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') return body.code
  } catch {
    // An answer of something in front of PostgREST.
  }
  return undefined
}

/** Read from the key without verifying it: only to say whose view a count is. */
export function roleOfKey(key: string): string {
  if (key.startsWith('sb_secret_')) return 'service_role'
  if (key.startsWith('sb_publishable_')) return 'anon'
  const payload = isJwt(key) ? key.split('.')[1] : undefined
  if (payload === undefined) return 'unknown'
  try {
    const claims = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as unknown
    if (typeof claims === 'object' && claims !== null && 'role' in claims && typeof claims.role === 'string') {
      return claims.role
    }
  } catch {
    // Not a JWT after all.
  }
  return 'unknown'
}
