/** A server of the API on a free port, and ways to ask it. */
import { type Client, createClient } from '../client/client.ts'
import type { ApiLimits } from '../http/options.ts'
import { type ApiServer, type ServeApiOptions, serveApi } from '../serve.ts'
import { MemoryServices } from './memory-services.ts'

export const TOKEN = 'a-token-that-must-not-be-shown'

export interface ApiStage<S extends MemoryServices> extends AsyncDisposable {
  readonly services: S
  readonly server: ApiServer
  readonly client: Client
  /** With the token, unless other headers say otherwise. */
  ask(path: string, init?: RequestInit): Promise<Response>
}

export interface StageOptions<S extends MemoryServices> extends Partial<Omit<ServeApiOptions, 'limits'>> {
  readonly services?: S | undefined
  readonly limits?: Partial<ApiLimits> | undefined
}

export async function startApi<S extends MemoryServices = MemoryServices>(
  options: StageOptions<S> = {},
): Promise<ApiStage<S>> {
  const { services = new MemoryServices() as S, limits, ...more } = options
  const server = await serveApi(services, { port: 0, token: TOKEN, ...more, limits: { closeMs: 5_000, ...limits } })
  return {
    services,
    server,
    client: createClient({ url: server.url, token: TOKEN, retryMs: 10 }),
    ask: (path, init = {}) =>
      fetch(`${server.url}${path}`, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } }),
    [Symbol.asyncDispose]: () => server.close(),
  }
}
