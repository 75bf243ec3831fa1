/** One request with nothing but `fetch`, and what its failures mean. */
import { throwIfAborted } from '../../base/abort.ts'
import { type ErrorCode, errorCodes } from '../../base/error-codes.ts'
import { RetakeError } from '../../base/errors.ts'
import { type Problem, problemSchema } from '../contract/problem.ts'

/** The `fetch` of the platform, or one that is passed in. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface Peer {
  readonly url: string
  readonly token: string | undefined
  readonly fetch: Fetch
}

export interface RequestFacts {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

/**
 * Begins an exchange; the answer's body is not read yet. Redirects are not followed: a token must not travel to another place.
 * @throws RetakeError what the server answered instead; `api.unreachable`
 */
export async function send({ url, token, fetch }: Peer, facts: RequestFacts): Promise<Response> {
  const { method, target, headers, body, signal } = facts
  let response: Response
  try {
    response = await fetch(`${url}${target}`, {
      method,
      redirect: 'manual',
      signal,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
  } catch (error) {
    throw unreachable(error, signal)
  }
  if (response.ok) return response
  throw await errorOf(response, signal)
}

/** What a broken connection means. What fired the signal comes first. */
export function unreachable(error: unknown, signal: AbortSignal): RetakeError {
  throwIfAborted(signal)
  return new RetakeError('api.unreachable', `The server of Retake could not be reached: ${causeOf(error)}.`, {
    hint: 'See whether it runs, and at this address: GET /livez tells.',
  })
}

/** The error that the server told of, as if it had been thrown here. */
async function errorOf(response: Response, signal: AbortSignal): Promise<RetakeError> {
  const text = await response.text().catch((error: unknown) => {
    throw unreachable(error, signal)
  })
  const problem = problemIn(text)
  if (problem) return problemError(problem)
  return new RetakeError('api.protocol', `The answer has the status ${response.status} and is not of Retake.`, {
    hint: 'Look whether the address is right, and what stands between.',
    details: { status: response.status },
  })
}

export function problemIn(text: string): Problem | undefined {
  try {
    return problemSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** A code that a newer server has and this client has not is told in the message. */
export function problemError({ code, detail, hint, retry, status, requestId, fields }: Problem): RetakeError {
  const isKnown = Object.hasOwn(errorCodes, code)
  return new RetakeError(isKnown ? (code as ErrorCode) : 'api.protocol', isKnown ? detail : `${code}: ${detail}`, {
    hint,
    retry,
    details: { status, requestId, ...(fields ? { fields } : {}) },
  })
}

/** `fetch failed` says nothing; the system's code beneath it does. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed'
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message || error.message
}
