/**
 * Supabase's Management API on this machine, for tests: the calls, shapes, words and limits that were recorded or described,
 * states that move with a clock, and faults on order. It knows nothing that the real API was not seen to do; where a text was
 * not recorded, the status is what counts.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Clock, systemClock } from '../../base/clock.ts'
import { type Fault, injectFault } from './faults.ts'
import { TestProject, type TestProjectOptions } from './project.ts'
import { type Route, type RouteContext, routes, type TestAnswer } from './routes.ts'

const WINDOW_MS = 60_000

export interface ManagementServerOptions {
  readonly projects?: readonly TestProjectOptions[] | undefined
  /** Tokens and their scopes; default one with all of them, see {@link ManagementTestServer.token}. */
  readonly tokens?: Readonly<Record<string, readonly string[] | 'all'>> | undefined
  /** Requests a minute for each token, project and call; default 120. */
  readonly requestsPerMinute?: number | undefined
  readonly clock?: Clock | undefined
  /** Default: any that is free. */
  readonly port?: number | undefined
}

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  /** 0 when a fault left it without an answer. */
  readonly status: number
}

/** Of the form that the real ones have; it opens nothing but this server. */
const DEFAULT_TOKEN = `sbp_${'0123456789'.repeat(4)}`

/**
 * Starts the server on the loopback address.
 *
 * ```ts
 * await using supabase = await startManagementServer({ projects: [{ ref: 'abcdefghijklmnopqrst' }] })
 * const api = new SupabaseManagement({ token: supabase.token, url: supabase.url })
 * supabase.fault({ kind: 'rate-limit', resetSeconds: 1 })
 * ```
 */
export async function startManagementServer(options: ManagementServerOptions = {}): Promise<ManagementTestServer> {
  const server = new ManagementTestServer(options)
  await server.listen(options.port ?? 0)
  return server
}

export class ManagementTestServer implements AsyncDisposable {
  /** One that is accepted. */
  readonly token: string
  /** Everything that was asked, in its order. */
  readonly requests: ReceivedRequest[] = []
  readonly #projects: Map<string, TestProject>
  readonly #tokens: ReadonlyMap<string, readonly string[] | 'all'>
  readonly #clock: Clock
  readonly #perMinute: number
  readonly #faults: { fault: Fault; left: number }[] = []
  readonly #windows = new Map<string, { readonly begunMs: number; count: number }>()
  readonly #server: Server

  constructor(options: ManagementServerOptions) {
    this.#clock = options.clock ?? systemClock
    this.#tokens = new Map(Object.entries(options.tokens ?? { [DEFAULT_TOKEN]: 'all' }))
    this.token = [...this.#tokens.keys()][0] ?? DEFAULT_TOKEN
    this.#perMinute = options.requestsPerMinute ?? 120
    this.#projects = new Map()
    for (const project of options.projects ?? []) this.addProject(project)
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
  }

  /** Where it listens, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Faults that were ordered and have not happened; a test that expects them checks that this is empty. */
  get pendingFaults(): readonly Fault[] {
    return this.#faults.map(({ fault }) => fault)
  }

  addProject(options: TestProjectOptions): TestProject {
    const project = new TestProject(options, this.#clock)
    this.#projects.set(project.ref, project)
    return project
  }

  project(ref: string): TestProject {
    const project = this.#projects.get(ref)
    if (!project) throw new Error(`the test server has no project ${ref}`)
    return project
  }

  /** Orders a fault for the next requests that it matches. */
  fault(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 })
  }

  clearFaults(): void {
    this.#faults.length = 0
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
  }

  /** Ends every connection, the half-open ones too. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://test')
    const method = request.method ?? 'GET'
    const received = { method, path: url.pathname }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const rate = this.#countRequest(`${token} ${method} ${url.pathname}`)
    response.setHeader('x-ratelimit-limit', this.#perMinute)
    response.setHeader('x-ratelimit-remaining', rate.remaining)
    response.setHeader('x-ratelimit-reset', rate.resetSeconds)
    response.setHeader('x-gotrue-id', randomUUID())
    const body = await text(request)
    const fault = this.#takeFault(received)
    const faulty = fault && (await injectFault(fault, response))
    if (faulty !== undefined) {
      this.requests.push({ ...received, status: faulty })
      return
    }
    const answer = rate.exceeded
      ? { status: 429, body: { message: 'ThrottlerException: Too Many Requests' } }
      : await this.#answer({ method, url, token, body })
    this.requests.push({ ...received, status: answer.status })
    send(response, answer)
  }

  async #answer(request: { method: string; url: URL; token: string; body: string }): Promise<TestAnswer> {
    const scopes = this.#tokens.get(request.token)
    if (scopes === undefined) return { status: 401, body: { message: 'Unauthorized' } }
    const found = routeOf(request.method, request.url.pathname)
    if (!found) return { status: 404, body: { message: `Cannot ${request.method} ${request.url.pathname}` } }
    if (scopes !== 'all' && !scopes.includes(found.route.scope)) {
      return { status: 403, body: { message: 'Forbidden resource' } }
    }
    const context: RouteContext = {
      projects: this.#projects,
      id: found.id,
      query: request.url.searchParams,
      body: parseBody(request.body),
      now: this.#clock.now(),
    }
    return found.route.answer(context)
  }

  #countRequest(key: string): { remaining: number; resetSeconds: number; exceeded: boolean } {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#windows.get(key)
    const window = known && nowMs - known.begunMs < WINDOW_MS ? known : { begunMs: nowMs, count: 0 }
    window.count++
    this.#windows.set(key, window)
    return {
      remaining: Math.max(0, this.#perMinute - window.count),
      resetSeconds: Math.ceil((WINDOW_MS - (nowMs - window.begunMs)) / 1000),
      exceeded: window.count > this.#perMinute,
    }
  }

  #takeFault({ method, path }: { method: string; path: string }): Fault | undefined {
    const index = this.#faults.findIndex(({ fault }) => fault.on === undefined || fault.on.test(`${method} ${path}`))
    const ordered = this.#faults[index]
    if (!ordered) return undefined
    if (--ordered.left <= 0) this.#faults.splice(index, 1)
    return ordered.fault
  }
}

function routeOf(method: string, path: string): { readonly route: Route; readonly id: string } | undefined {
  for (const route of routes) {
    const match = route.method === method ? route.path.exec(path) : null
    if (match) return { route, id: match[1] ?? '' }
  }
  return undefined
}

function parseBody(body: string): unknown {
  if (body === '') return null
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}

function send(response: ServerResponse, { status, body }: TestAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
