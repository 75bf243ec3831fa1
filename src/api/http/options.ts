import type { Logger } from '../../base/progress.ts'

export interface ApiLimits {
  /** Of a request's body, bytes. Default 64 KiB. */
  readonly bodyBytes: number
  /** Until a request is answered, ms. Default 30,000. Streams are not meant. */
  readonly requestMs: number
  /** A stream that has nothing to say says so this often, ms. Default 15,000. */
  readonly heartbeatMs: number
  /** A stream ends after so long and is taken up again by its reader, ms: so one that nobody reads any more does not last. Default 900,000. */
  readonly streamMs: number
  /** So long a reader is asked to wait before it takes a stream up again, ms. Default 2,000. */
  readonly retryMs: number
  /** Streams at the same time. Default 200. */
  readonly streams: number
  /** A connection that neither takes nor gives a byte for so long is cut, ms. Default 60,000. */
  readonly idleMs: number
  /** At the end, requests and streams have so long to end by themselves, ms. Default 10,000. */
  readonly closeMs: number
}

export const DEFAULT_LIMITS: ApiLimits = {
  bodyBytes: 64 * 1024,
  requestMs: 30_000,
  heartbeatMs: 15_000,
  streamMs: 900_000,
  retryMs: 2_000,
  streams: 200,
  idleMs: 60_000,
  closeMs: 10_000,
}

export interface ApiOptions {
  /** Whoever sends it may do everything. At least 16 characters. */
  readonly token: string
  /** Names under which the server is asked, besides `localhost` and addresses. A proxy that passes on the name it was asked by needs it here. */
  readonly allowedHosts?: readonly string[] | undefined
  readonly limits?: Partial<ApiLimits> | undefined
  readonly logger?: Logger | undefined
}
