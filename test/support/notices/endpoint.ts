/** A real HTTP server on this machine that writes down what it gets and answers as it is told, also badly. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | object
}

/** `reset` tears the connection; `silent` never answers; `half` begins an answer and never ends it; `endless` never stops sending. */
export type Answer = Reply | 'reset' | 'silent' | 'half' | 'endless'

export interface Endpoint extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly Recorded[]
  /** The next answers, before those of the handler. */
  queue(...answers: readonly Answer[]): void
}

export async function openEndpoint(handle: (request: Recorded) => Answer = () => ({ status: 200 })): Promise<Endpoint> {
  const requests: Recorded[] = []
  const queued: Answer[] = []
  const server = createServer(async (incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const request: Recorded = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: await readBody(incoming),
    }
    requests.push(request)
    give(queued.shift() ?? handle(request), outgoing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    queue: (...answers) => {
      queued.push(...answers)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function give(answer: Answer, outgoing: ServerResponse): void {
  if (answer === 'silent') return
  if (answer === 'reset') {
    outgoing.socket?.resetAndDestroy()
  } else if (answer === 'half') {
    outgoing.writeHead(200, { 'content-length': '1000' })
    outgoing.write('{"ok":')
  } else if (answer === 'endless') {
    outgoing.writeHead(200)
    const more = () => {
      while (!outgoing.destroyed && outgoing.write('x'.repeat(16_384)));
    }
    outgoing.on('drain', more)
    more()
  } else {
    const { status, headers = {}, body = '' } = answer
    outgoing.writeHead(status, {
      ...(typeof body === 'object' ? { 'content-type': 'application/json' } : {}),
      ...headers,
    })
    outgoing.end(typeof body === 'object' ? JSON.stringify(body) : body)
  }
}
