/** What is said of each operation once: the routes, the client, the OpenAPI document and the page of the docs are made of it. */
import type * as z from 'zod'
import type { ErrorCode } from '../../base/error-codes.ts'
import type { Shown } from './words.ts'

export interface OperationFacts {
  readonly method: 'get' | 'post'
  /** Below {@link API_PREFIX}; parameters in braces, as OpenAPI writes them. */
  readonly path: `/${string}`
  readonly tag: string
  /** A few words; the first is a verb. */
  readonly summary: string
  readonly description?: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  readonly status: 200 | 201 | 202
  readonly answer?: z.ZodType
  /** Instead of an answer: server-sent events, of which each one's data is this. */
  readonly events?: z.ZodType
  /** The name that each of them has. */
  readonly event?: 'run' | 'change'
  /** It changes something, so it takes an `Idempotency-Key`. */
  readonly action?: true
  /** Codes that are of this operation, beside those that any may answer. */
  readonly errors: readonly ErrorCode[]
}

type Fields<S> = S extends z.ZodType ? Shown<S> : unknown
type Get<O, K extends string> = K extends keyof O ? O[K] : undefined

/** What the operation is given: parameters of path and query side by side, and the body. */
export type InputOf<O> = Fields<Get<O, 'params'>> &
  Fields<Get<O, 'query'>> &
  (Get<O, 'body'> extends z.ZodType ? { readonly body: Fields<Get<O, 'body'>> } : unknown)

export type AnswerOf<O> = Get<O, 'answer'> extends infer S extends z.ZodType ? Shown<S> : never
export type EventOf<O> = Get<O, 'events'> extends infer S extends z.ZodType ? Shown<S> : never

export const API_PREFIX = '/api/v1'
