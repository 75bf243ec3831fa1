/** A typed client of the API, for every program with `fetch`: it reaches no module of Node. */
import type * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import { type AnswerOf, API_PREFIX, type EventOf, type InputOf, type OperationFacts } from '../contract/operation.ts'
import { type OperationName, type Operations, operations, type WatchName } from '../contract/operations.ts'
import type { Page } from '../contract/words.ts'
import { type Fetch, type Peer, send, unreachable } from './exchange.ts'
import { watchEvents } from './watch.ts'

export interface ClientOptions {
  /** Where the server is, such as `http://127.0.0.1:7432`. */
  readonly url: string
  readonly token?: string | undefined
  /** Default: the platform's. */
  readonly fetch?: Fetch | undefined
  /** Until an answer is complete, ms. Default 60,000. */
  readonly timeoutMs?: number | undefined
  /** Without a word on a stream for so long its connection is taken for dead, ms. Default 45,000: three heartbeats. */
  readonly silenceMs?: number | undefined
  /** Before a stream that broke is taken up again, ms; doubled with each failure, up to 30 s. What the server says wins. Default 1,000. */
  readonly retryMs?: number | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ActionOptions extends CallOptions {
  /** Give the same to repeat a request whose answer was lost. Default: one of its own for each call. */
  readonly idempotencyKey?: string | undefined
}

type OptionsOf<O> = O extends { readonly action: true } ? ActionOptions : CallOptions
/** Where nothing has to be said, nothing has to be passed. */
type Arguments<O> =
  unknown extends InputOf<O>
    ? [input?: Record<string, never>, options?: OptionsOf<O>]
    : Record<string, never> extends InputOf<O>
      ? [input?: InputOf<O>, options?: OptionsOf<O>]
      : [input: InputOf<O>, options?: OptionsOf<O>]

/** A method for each operation of the API: it takes the parameters of path and query side by side, and the `body`. */
export type Client = {
  readonly [K in OperationName]: (
    ...given: Arguments<Operations[K]>
  ) => K extends WatchName ? AsyncGenerator<EventOf<Operations[K]>, void> : Promise<AnswerOf<Operations[K]>>
}

/**
 * A client of a server of Retake.
 *
 * ```ts
 * const client = createClient({ url: 'http://127.0.0.1:7432', token })
 * const run = await client.startRun({ cluster: 'main', body: { task: 'backup' } })
 * for await (const { state, phase, progress } of client.watchRun({ run: run.id })) console.log(state, phase, progress?.done)
 * ```
 * Its methods throw RetakeErrors: what the server answered, `api.unreachable`, `api.protocol`, `timeout`, `aborted`. A watch goes on
 * when its connection breaks, and ends when there is nothing more to come.
 */
export function createClient(options: ClientOptions): Client {
  const peer: Peer = {
    url: options.url.replace(/\/+$/, ''),
    token: options.token,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
  }
  const methods = Object.entries<OperationFacts>(operations).map(([name, facts]) => [
    name,
    facts.events
      ? (input?: Given, call?: ActionOptions) => watch(peer, { facts, input: input ?? {}, options, call: call ?? {} })
      : (input?: Given, call?: ActionOptions) => ask(peer, { facts, input: input ?? {}, options, call: call ?? {} }),
  ])
  // The table that the type is made of is the one that the methods are made of.
  return Object.fromEntries(methods) as Client
}

/**
 * All items of a list, page by page as they are needed.
 *
 * ```ts
 * for await (const run of eachItem((cursor) => client.listRuns({ cluster: 'main', cursor }))) console.log(run.id)
 * ```
 */
export async function* eachItem<T>(
  readPage: (cursor: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<T, void> {
  let cursor: string | undefined
  do {
    const { items, next } = await readPage(cursor)
    yield* items
    cursor = next
  } while (cursor !== undefined)
}

type Given = Readonly<Record<string, unknown>>

interface AskFacts {
  readonly facts: OperationFacts
  readonly input: Given
  readonly options: ClientOptions
  readonly call: ActionOptions
}

async function ask(peer: Peer, { facts, input, options, call }: AskFacts): Promise<unknown> {
  const timeoutMs = options.timeoutMs ?? 60_000
  const controller = new AbortController()
  const onAbort = () => controller.abort(call.signal?.reason)
  const timer = setTimeout(() => controller.abort(tooSlow(timeoutMs)), timeoutMs)
  call.signal?.addEventListener('abort', onAbort, { once: true })
  if (call.signal?.aborted) onAbort()
  try {
    const response = await send(peer, {
      method: facts.method.toUpperCase(),
      target: targetOf(facts, input),
      headers: {
        accept: 'application/json',
        ...(facts.action ? { 'idempotency-key': call.idempotencyKey ?? crypto.randomUUID() } : {}),
      },
      ...(facts.body ? { body: JSON.stringify(input.body ?? {}) } : {}),
      signal: controller.signal,
    })
    const text = await response.text().catch((error: unknown) => {
      throw unreachable(error, controller.signal)
    })
    return parse(facts.answer, text)
  } finally {
    clearTimeout(timer)
    call.signal?.removeEventListener('abort', onAbort)
  }
}

async function* watch(peer: Peer, { facts, input, options, call }: AskFacts): AsyncGenerator<unknown, void> {
  const events = watchEvents(peer, {
    target: targetOf(facts, input),
    signal: call.signal ?? new AbortController().signal,
    silenceMs: options.silenceMs ?? 45_000,
    retryMs: options.retryMs ?? 1_000,
  })
  for await (const { data } of events) yield parse(facts.events, data)
}

function targetOf({ path, query }: OperationFacts, input: Given): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(input[name])))
  const search = new URLSearchParams()
  for (const name of Object.keys(query?.shape ?? {})) {
    if (input[name] !== undefined) search.set(name, String(input[name]))
  }
  return `${API_PREFIX}${filled}${search.size > 0 ? `?${search}` : ''}`
}

function parse(schema: z.ZodType | undefined, text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RetakeError('api.protocol', 'The server answered with something that is not JSON.')
  }
  const parsed = schema?.safeParse(value)
  if (parsed?.success) return parsed.data
  const where = parsed?.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new RetakeError('api.protocol', `The answer is not what the API describes (${where}).`, {
    hint: 'Compare the versions of client and server.',
  })
}

const tooSlow = (timeoutMs: number) =>
  new RetakeError('timeout', `The server of Retake did not answer completely within ${timeoutMs / 1000} s.`)
