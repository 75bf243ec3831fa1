/** The API as a function from requests to answers; nothing of it listens anywhere. */
import { Hono } from 'hono'
import { toRetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { silentLogger } from '../../base/progress.ts'
import { API_PREFIX, type OperationFacts } from '../contract/operation.ts'
import { operations } from '../contract/operations.ts'
import { openApiDocument } from '../openapi.ts'
import { answerHandlers, type Watch, watchHandlers } from '../routes.ts'
import type { ActionCall, ApiServices, Call, Caller } from '../services.ts'
import type { ApiApp, ApiContext, Env, RequestContext } from './context.ts'
import { eventStream } from './event-stream.ts'
import { assertToken, deniedHost, deniedToken, hostGuard, tokenGuard } from './guards.ts'
import { actionAnswer, readAnswer } from './json-answer.ts'
import { fingerprintOf, once, readKey, scopedKey } from './once.ts'
import { type ApiOptions, DEFAULT_LIMITS } from './options.ts'
import { addProbes } from './probes.ts'
import { type RequestInput, readInput } from './read-input.ts'
import { problemOf, problemResponse, refusal } from './refusals.ts'
import { withTimeLimit } from './time-limit.ts'

export interface Api {
  readonly fetch: (request: Request) => Promise<Response>
  /** Streams end with a word about it, and none is opened any more. */
  beginClosing(): void
  /** Whatever is not done yet is stopped. */
  stop(): void
  /** Streams that are open. */
  readonly streams: number
}

const CALLER: Caller = { kind: 'token' }

/** @throws RetakeError `config.invalid` when the token is none */
export function createApi(services: ApiServices, options: ApiOptions): Api {
  assertToken(options.token)
  const context: ApiContext = {
    services,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    isAllowed: tokenGuard(options.token),
    logger: options.logger ?? silentLogger,
    secrets: [options.token],
    closing: new AbortController(),
    stopping: new AbortController(),
    open: { streams: 0 },
  }
  const app = buildApp(context, hostGuard(options.allowedHosts ?? []))
  return {
    fetch: async (request) => secured(await app.fetch(request)),
    beginClosing: () => context.closing.abort(),
    stop: () => {
      context.closing.abort()
      context.stopping.abort()
    },
    get streams() {
      return context.open.streams
    },
  }
}

function buildApp(context: ApiContext, isKnownHost: (host: string | null) => boolean): ApiApp {
  const app: ApiApp = new Hono<Env>()
  app.use(async (c, next) => {
    c.set('requestId', randomId(8))
    if (!isKnownHost(c.req.raw.headers.get('host'))) throw deniedHost()
    await next()
  })
  app.onError((error, c) => {
    const problem = problemOf(error, { path: c.req.path, requestId: c.get('requestId'), secrets: context.secrets })
    const level = problem.status >= 500 ? 'error' : 'debug'
    const cause = toRetakeError(error)
    context.logger[level]('A request was not answered as asked.', {
      requestId: problem.requestId,
      method: c.req.method,
      path: c.req.path,
      status: problem.status,
      code: problem.code,
      cause: cause.message,
    })
    return problemResponse(problem, error)
  })
  app.notFound((c) => {
    throw nothingHere(c.req.method, c.req.path)
  })
  addProbes(app, context)
  const document = JSON.stringify(openApiDocument())
  app.get(`${API_PREFIX}/openapi.json`, (c) => readAnswer(document, c.req.raw.headers.get('if-none-match')))
  addOperations(app, context)
  return app
}

function addOperations(app: ApiApp, context: ApiContext): void {
  const answers: Readonly<Record<string, (input: never, call: ActionCall) => Promise<unknown>>> = answerHandlers(
    context.services,
  )
  const watches: Readonly<Record<string, (input: never, call: Call) => Promise<Watch<unknown>>>> = watchHandlers(
    context.services,
  )
  for (const [name, facts] of Object.entries<OperationFacts>(operations)) {
    const path = `${API_PREFIX}${facts.path.replaceAll(/\{(\w+)\}/g, ':$1')}`
    app.on(facts.method.toUpperCase(), path, async (c) => {
      if (!context.isAllowed(c.req.raw.headers.get('authorization'))) throw deniedToken()
      const input = await readInput(facts, c.req.raw, {
        params: c.req.param(),
        bodyLimitBytes: context.limits.bodyBytes,
      })
      const serve: Serve = { facts, input, context }
      // The input was checked against the schemas that the handlers' types are made of.
      const watch = watches[name]
      if (watch)
        return serveEvents(c, {
          ...serve,
          handle: watch as (input: RequestInput, call: Call) => Promise<Watch<unknown>>,
        })
      const answer = answers[name] as (input: RequestInput, call: ActionCall) => Promise<unknown>
      return serveAnswer(c, { ...serve, handle: answer })
    })
  }
}

interface Serve {
  readonly facts: OperationFacts
  readonly input: RequestInput
  readonly context: ApiContext
}

type ServeAnswer = Serve & { readonly handle: (input: RequestInput, call: ActionCall) => Promise<unknown> }
type ServeEvents = Serve & { readonly handle: (input: RequestInput, call: Call) => Promise<Watch<unknown>> }

async function serveAnswer(c: RequestContext, { facts, input, context, handle }: ServeAnswer): Promise<Response> {
  const { services, limits, stopping, logger } = context
  const { headers, signal: left, method } = c.req.raw
  const key = facts.action ? readKey(headers.get('idempotency-key')) : undefined
  return withTimeLimit(
    async (signal) => {
      const idempotencyKey = key === undefined ? undefined : scopedKey(key, CALLER)
      const act = async () => ({
        status: facts.status,
        body: shown(facts, await handle(input, { signal, by: CALLER, idempotencyKey })),
      })
      if (!facts.action) return readAnswer((await act()).body, headers.get('if-none-match'))
      if (idempotencyKey === undefined) return actionAnswer(await act(), false)
      const fingerprint = fingerprintOf({ method, path: c.req.path, input })
      const answer = await once(services, { key: idempotencyKey, fingerprint, logger, signal }, act)
      return actionAnswer(answer, answer.isReplay)
    },
    { limitMs: limits.requestMs, signals: [left, stopping.signal] },
  )
}

async function serveEvents(c: RequestContext, { facts, input, context, handle }: ServeEvents): Promise<Response> {
  const { limits, open, closing, stopping, secrets } = context
  // Nobody would read the stream, so it would never end.
  if (c.req.method === 'HEAD') throw notPossible('HEAD', ['GET'])
  const after = lastEventId(c.req.raw.headers.get('last-event-id'))
  const watch = await withTimeLimit((signal) => handle(input, { signal }), {
    limitMs: limits.requestMs,
    signals: [c.req.raw.signal, stopping.signal],
  })
  if (closing.signal.aborted) throw busy('The server is ending, so it opens no stream.')
  if (open.streams >= limits.streams) throw busy(`${limits.streams} streams are open, and no more are allowed.`)
  open.streams++
  const stream = eventStream({
    event: facts.event ?? 'message',
    open: (signal) => watch.open({ signal, ...(after === undefined ? {} : { after }) }),
    render: (value) => checked(facts.events, value),
    failure: (error) => problemOf(error, { path: c.req.path, requestId: c.get('requestId'), secrets }),
    heartbeatMs: limits.heartbeatMs,
    lastMs: limits.streamMs,
    retryMs: limits.retryMs,
    closing: closing.signal,
    onEnd: () => void open.streams--,
  })
  return new Response(stream, { headers: STREAM_HEADERS })
}

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // Proxies that collect answers before they pass them on would hold events back.
  'x-accel-buffering': 'no',
}

const busy = (message: string) =>
  refusal('api.busy', message, { status: 503, hint: 'Try again in a moment.', headers: { 'retry-after': '2' } })

function lastEventId(header: string | null): string | undefined {
  if (header === null || header === '') return undefined
  if (/^[\x20-\x7e]{1,200}$/.test(header)) return header
  throw refusal('api.invalid', 'The Last-Event-ID is none of ours.', {
    status: 400,
    fields: [{ in: 'header', field: 'Last-Event-ID', message: 'pass on the id of an event as it is' }],
  })
}

function shown(facts: OperationFacts, answer: unknown): string {
  return JSON.stringify(checked(facts.answer, answer))
}

/** Only what the contract names leaves the server: a field that nobody described may be a secret. */
function checked(schema: OperationFacts['answer'], value: unknown): unknown {
  const parsed = schema?.safeParse(value)
  if (parsed?.success) return parsed.data
  const where = parsed?.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new Error(`assertion failed: an answer is not as the contract says: ${where}`)
}

function nothingHere(method: string, path: string): Error {
  const allowed = Object.values<OperationFacts>(operations)
    .filter((facts) => pathPattern(facts.path).test(path))
    .map((facts) => facts.method.toUpperCase())
  if (allowed.length === 0) {
    return refusal('api.missing', 'There is nothing at this address.', {
      status: 404,
      hint: `GET ${API_PREFIX}/openapi.json describes everything that is there.`,
    })
  }
  return notPossible(method, allowed)
}

const notPossible = (method: string, allowed: readonly string[]) =>
  refusal('api.invalid', `${method} is not possible at this address.`, {
    status: 405,
    headers: { allow: [...new Set(allowed)].join(', ') },
  })

const pathPattern = (path: string) => new RegExp(`^${API_PREFIX}${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`)

/** There is nothing to show in a browser here, nothing for other sites, and nothing to guess. */
function secured(response: Response): Response {
  const { headers } = response
  headers.set('x-content-type-options', 'nosniff')
  headers.set('x-frame-options', 'DENY')
  headers.set('referrer-policy', 'no-referrer')
  headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  headers.set('cross-origin-resource-policy', 'same-origin')
  return response
}
