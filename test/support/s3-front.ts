/**
 * A proxy between Retake and a real S3 server, for what a network and a storage do wrong, and for one thing that the server used here
 * (Ceph RGW 16) lacks and Amazon has: with `conditional` it looks at `If-None-Match` also where a multipart upload is completed and
 * in buckets that keep versions.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, request as send } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'

export interface SeenRequest {
  readonly method: string
  /** Path and query, as it was asked for. */
  readonly target: string
  readonly headers: IncomingMessage['headers']
}

export interface FrontOptions {
  readonly conditional?: boolean | undefined
  /** PEM; the proxy then speaks TLS. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
}

export interface Fault {
  readonly matching: (request: SeenRequest) => boolean
  /** So many requests are wronged. Default 1. */
  readonly times?: number | undefined
  readonly how: /** Answered without asking the server. */
    | { readonly kind: 'status'; readonly status: number; readonly code: string }
    /** Never answered; the connection stays open. */
    | { readonly kind: 'silence' }
    /** The connection is torn before the request reaches the server. */
    | { readonly kind: 'reset' }
    /** The request is carried out, and the answer never comes. */
    | { readonly kind: 'lost-answer' }
    /** Torn after so many bytes of the answer's body. */
    | { readonly kind: 'torn-answer'; readonly bytes: number }
    /** Stops after so many bytes of the answer's body, and stays open. */
    | { readonly kind: 'stalled-answer'; readonly bytes: number }
    /** One bit of the request's body is flipped on the way. */
    | { readonly kind: 'flipped-body' }
    | { readonly kind: 'delay'; readonly ms: number }
    /** The answer of an earlier request with the same target, if there was one. */
    | { readonly kind: 'old-answer' }
    /** The answer's text or range is changed. */
    | { readonly kind: 'rewritten'; readonly change?: (text: string) => string; readonly range?: string }
}

export interface S3Front extends AsyncDisposable {
  readonly endpoint: string
  /** Everything that was asked, in order. */
  readonly requests: SeenRequest[]
  plan(fault: Fault): void
  /** @throws Error when a planned fault did not happen */
  assertAllHit(): void
  /** Nothing more goes wrong. */
  heal(): void
}

interface Planned extends Fault {
  left: number
  hits: number
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export async function startS3Front(upstream: string, options: FrontOptions = {}): Promise<S3Front> {
  const front = new Front(new URL(upstream), options)
  await front.listen()
  return front
}

class Front implements S3Front {
  readonly requests: SeenRequest[] = []
  readonly #upstream: URL
  readonly #conditional: boolean
  readonly #faults: Planned[] = []
  readonly #answers = new Map<string, Answer>()
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  /** Names of objects that were written through this proxy. */
  readonly #taken = new Set<string>()
  /** Writes of one name, one after the other. */
  #writing: Promise<unknown> = Promise.resolve()
  endpoint = ''

  readonly #scheme: 'http' | 'https'

  constructor(upstream: URL, options: FrontOptions) {
    this.#upstream = upstream
    this.#conditional = options.conditional ?? false
    this.#scheme = options.tls ? 'https' : 'http'
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => response.destroy())
    }
    this.#server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener)
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.endpoint = `${this.#scheme}://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  plan(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1, hits: 0 })
  }

  assertAllHit(): void {
    const missed = this.#faults.filter(({ hits }) => hits === 0).map(({ how }) => how.kind)
    if (missed.length > 0) throw new Error(`these planned faults did not happen: ${missed.join(', ')}`)
  }

  heal(): void {
    for (const fault of this.#faults) fault.left = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? '', target: request.url ?? '', headers: request.headers }
    this.requests.push(seen)
    const fault = this.#take(seen)
    const body = await collect(request)
    switch (fault?.how.kind) {
      case undefined:
        return reply(response, await this.#forward(request, body))
      case 'status':
        return reply(response, errorAnswer(fault.how))
      case 'silence':
        return
      case 'reset':
        response.destroy()
        return
      case 'lost-answer':
        await this.#forward(request, body)
        response.destroy()
        return
      case 'torn-answer':
      case 'stalled-answer':
        return cut(response, await this.#forward(request, body), fault.how)
      case 'flipped-body':
        body[Math.floor(body.length / 2)] = (body[Math.floor(body.length / 2)] ?? 0) ^ 1
        return reply(response, await this.#forward(request, body))
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, (fault.how as { ms: number }).ms))
        return reply(response, await this.#forward(request, body))
      case 'rewritten':
        return reply(response, rewritten(await this.#forward(request, body), fault.how))
      case 'old-answer':
        return reply(
          response,
          this.#answers.get(keyOf(seen.method, seen.target)) ?? (await this.#forward(request, body)),
        )
    }
  }

  #take(seen: SeenRequest): Planned | undefined {
    const fault = this.#faults.find(({ left, matching }) => left > 0 && matching(seen))
    if (fault === undefined) return undefined
    fault.left -= 1
    fault.hits += 1
    return fault
  }

  async #forward(request: IncomingMessage, body: Buffer): Promise<Answer> {
    if (!this.#conditional || request.method === 'GET' || request.method === 'HEAD') {
      return this.#remember(request, await this.#ask(request, body))
    }
    const turn = this.#writing.then(() => this.#write(request, body))
    this.#writing = turn.catch(() => {})
    return await turn
  }

  async #write(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const target = request.url ?? ''
    const name = target.split('?')[0] ?? ''
    if (request.headers['if-none-match'] === '*' && this.#taken.has(name)) {
      return errorAnswer({ status: 412, code: 'PreconditionFailed' })
    }
    const answer = await this.#ask(request, body)
    const completes = request.method === 'POST' && /[?&]uploadId=/.test(target)
    const puts = request.method === 'PUT' && !/[?&](?:uploadId|retention)/.test(target)
    if (answer.status === 200 && (completes || puts)) this.#taken.add(name)
    if (answer.status === 204 && request.method === 'DELETE' && !/[?&]uploadId/.test(target)) this.#taken.delete(name)
    return answer
  }

  #remember(request: IncomingMessage, answer: Answer): Answer {
    const key = keyOf(request.method ?? '', request.url ?? '')
    if (request.method === 'GET' && !this.#answers.has(key)) this.#answers.set(key, answer)
    return answer
  }

  #ask(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { hostname, port } = this.#upstream
    return new Promise((resolve, reject) => {
      // The host stays as it was signed.
      const headers = { ...request.headers, connection: 'close' }
      const outgoing = send({ hostname, port, method: request.method, path: request.url, headers, agent: false })
      outgoing.on('error', reject)
      outgoing.on('response', (answer) => {
        collect(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body: bytes }),
          reject,
        )
      })
      outgoing.end(body)
    })
  }
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function reply(response: ServerResponse, answer: Answer): void {
  const { connection: _, 'transfer-encoding': __, ...headers } = answer.headers
  response.writeHead(answer.status, headers)
  response.end(answer.body)
}

function cut(
  response: ServerResponse,
  answer: Answer,
  how: { readonly kind: 'torn-answer' | 'stalled-answer'; readonly bytes: number },
): void {
  response.writeHead(answer.status, answer.headers)
  response.write(answer.body.subarray(0, how.bytes), () => {
    if (how.kind === 'torn-answer') response.destroy()
  })
}

function rewritten(answer: Answer, how: Fault['how'] & { readonly kind: 'rewritten' }): Answer {
  const body = how.change ? Buffer.from(how.change(answer.body.toString())) : answer.body
  const range = how.range === undefined ? {} : { 'content-range': how.range }
  return { ...answer, body, headers: { ...answer.headers, 'content-length': String(body.length), ...range } }
}

function errorAnswer({ status, code }: { readonly status: number; readonly code: string }): Answer {
  const body = Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>planned</Message></Error>`)
  return { status, headers: { 'content-type': 'application/xml', 'content-length': String(body.length) }, body }
}

function keyOf(method: string, target: string): string {
  return `${method} ${target}`
}
