/** JSON to a channel's other side; all requests of one delivery share its time limit. */
import { type ChannelSurroundings, DELIVERY_LIMIT_MS, type SendOptions } from './channel.ts'
import { exchangeHttp, type HttpAnswer, type HttpRequest } from './http.ts'

export interface JsonPoster extends Pick<HttpRequest, 'peer' | 'secrets'> {
  readonly surroundings: ChannelSurroundings
  readonly options: SendOptions
  /** Of every request, besides the content type. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface PostJsonOptions extends Pick<HttpRequest, 'method' | 'headers'> {
  readonly body: unknown
}

export type PostJson = (url: string, options: PostJsonOptions) => Promise<HttpAnswer>

export function beginPosting({ peer, secrets, surroundings, options, headers: always }: JsonPoster): PostJson {
  const deadline = performance.now() + (options.timeoutMs ?? DELIVERY_LIMIT_MS)
  return (url, { method, headers, body }) =>
    exchangeHttp({
      url,
      method,
      headers: { 'content-type': 'application/json; charset=utf-8', ...always, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      fetch: surroundings.fetch,
      timeoutMs: Math.max(1, deadline - performance.now()),
      signal: options.signal,
      peer,
      secrets,
    })
}
