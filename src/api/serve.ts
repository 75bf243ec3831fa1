/** The API on a port. TLS is for a reverse proxy in front of it: by default nobody but this machine can reach the port. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { silentLogger } from '../base/progress.ts'
import { type Api, createApi } from './http/app.ts'
import { type ApiLimits, type ApiOptions, DEFAULT_LIMITS } from './http/options.ts'
import type { ApiServices } from './services.ts'

export interface ServeApiOptions extends ApiOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** 0: any that is free. */
  readonly port: number
  /** Closes the server. */
  readonly signal?: AbortSignal | undefined
}

export interface ApiServer extends AsyncDisposable {
  /** `http://127.0.0.1:7432` */
  readonly url: string
  readonly port: number
  /** Streams that are open. */
  readonly streams: number
  /**
   * Takes no new connection, tells streams that it ends, waits for requests that are under way, and cuts what is left after
   * `limits.closeMs`. Resolves when nothing is left; calling it again waits for the same.
   */
  close(): Promise<void>
}

/**
 * Serves the API until it is closed.
 * @throws RetakeError `config.invalid` when the token is none, or the address cannot be listened at
 */
export async function serveApi(services: ApiServices, options: ServeApiOptions): Promise<ApiServer> {
  const { host = '127.0.0.1', port, signal, logger = silentLogger } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const allowedHosts = [...(options.allowedHosts ?? []), host]
  const api = createApi(services, { ...options, allowedHosts })
  const server = createHttpServer(api, limits)
  const closeIdle = idleCloser(server)
  await listen(server, { host, port })
  const address = server.address() as AddressInfo
  const close = closer(server, { api, closeMs: limits.closeMs, closeIdle })
  const onAbort = () => void close()
  signal?.addEventListener('abort', onAbort, { once: true })
  const closeAndForget = async () => {
    signal?.removeEventListener('abort', onAbort)
    await close()
  }
  if (signal?.aborted) await closeAndForget()
  const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
  logger.info('The API is served.', { url })
  return {
    url,
    port: address.port,
    get streams() {
      return api.streams
    },
    close: closeAndForget,
    [Symbol.asyncDispose]: closeAndForget,
  }
}

function createHttpServer(api: Api, { requestMs, idleMs }: ApiLimits): Server {
  const listener = getRequestListener(api.fetch, {
    // The rest of the process keeps its own Request and Response.
    overrideGlobalObjects: false,
    // A request that is none does not get as far as the API.
    errorHandler: () => new Response(null, { status: 400, headers: { connection: 'close' } }),
  })
  const server = createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: Math.min(requestMs, 15_000),
      requestTimeout: requestMs,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: Math.min(requestMs, 5_000),
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  )
  // Without a byte taken or given for so long a connection is dead, or its reader is; streams have their heartbeat.
  server.timeout = idleMs
  return server
}

/** @throws RetakeError `config.invalid` */
function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      const why = systemErrorCode(error) ?? error.message
      reject(
        new RetakeError('config.invalid', `The API cannot listen at ${host}, port ${port}: ${why}.`, {
          hint: why === 'EADDRINUSE' ? 'Another program listens there; choose another port.' : undefined,
          cause: error,
        }),
      )
    }
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

/**
 * Closes every connection on which nothing is under way, now and as soon as that is so. Node itself counts one that never sent a request,
 * such as browsers open in advance, as busy.
 */
function idleCloser(server: Server): () => void {
  const requests = new Map<Socket, number>()
  let isClosing = false
  const count = (socket: Socket, change: number) => {
    const before = requests.get(socket)
    // It is closed already.
    if (before === undefined) return
    const left = before + change
    requests.set(socket, left)
    if (isClosing && left === 0) socket.destroySoon()
  }
  server.on('connection', (socket) => {
    requests.set(socket, 0)
    socket.once('close', () => requests.delete(socket))
  })
  server.on('request', ({ socket }, outgoing) => {
    count(socket, 1)
    outgoing.once('close', () => count(socket, -1))
  })
  return () => {
    isClosing = true
    for (const [socket, left] of requests) if (left === 0) socket.destroySoon()
  }
}

interface CloserFacts {
  readonly api: Api
  readonly closeMs: number
  readonly closeIdle: () => void
}

function closer(server: Server, { api, closeMs, closeIdle }: CloserFacts): () => Promise<void> {
  let closed: Promise<void> | undefined
  return () => {
    closed ??= new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        api.stop()
        server.closeAllConnections()
      }, closeMs)
      server.close(() => {
        clearTimeout(timer)
        resolve()
      })
      closeIdle()
      api.beginClosing()
    })
    return closed
  }
}
