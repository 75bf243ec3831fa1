/** Errors as HTTP tells them: one mapping of codes to statuses, and problem documents without secrets. */
import { STATUS_CODES } from 'node:http'
import type { ErrorCode } from '../../base/error-codes.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { PROBLEM_TYPE, type Problem, type ProblemField } from '../contract/problem.ts'

export interface RefusalOptions {
  readonly status: number
  readonly hint?: string | undefined
  readonly fields?: readonly ProblemField[] | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** An error that knows how HTTP tells it. */
class Refusal extends RetakeError {
  readonly http: RefusalOptions

  constructor(code: ErrorCode, message: string, options: RefusalOptions) {
    super(code, message, { hint: options.hint })
    this.http = options
  }
}

export function refusal(code: ErrorCode, message: string, options: RefusalOptions): RetakeError {
  return new Refusal(code, message, options)
}

const httpOf = (error: unknown): RefusalOptions | undefined => (error instanceof Refusal ? error.http : undefined)

const STATUSES: Partial<Record<ErrorCode, number>> = {
  'api.invalid': 400,
  'target.invalid': 400,
  'api.denied': 401,
  'api.missing': 404,
  'cluster.missing': 404,
  'backup.missing': 404,
  'api.conflict': 409,
  'repo.locked': 409,
  'backup.refused': 409,
  'cluster.shredded': 410,
  'api.busy': 503,
  aborted: 503,
  timeout: 504,
}

/** What may pass by itself is 503; what only a change of the server's own surroundings mends is 500. */
export function statusOf(error: RetakeError): number {
  const status = httpOf(error)?.status ?? STATUSES[error.code]
  if (status !== undefined) return status
  return error.retry === 'never' ? 500 : 503
}

export interface ProblemContext {
  /** The path, without its query. */
  readonly path: string
  readonly requestId: string
  /** Texts that must not appear. */
  readonly secrets: readonly string[]
}

/** What went wrong, for whoever asked. Of what Retake takes for impossible nothing is told but where the log has it. */
export function problemOf(thrown: unknown, { path, requestId, secrets }: ProblemContext): Problem {
  const known = isRetakeError(thrown) && thrown.code !== 'internal'
  const error = known
    ? thrown
    : new RetakeError('internal', 'The server failed in a way that nobody thought of. What is stored is as it was.', {
        hint: `Look for ${requestId} in the log of the server.`,
      })
  const status = statusOf(error)
  const clean = (text: string) => secrets.reduce((left, secret) => left.replaceAll(secret, '…'), text)
  const { fields } = httpOf(error) ?? {}
  return {
    type: `urn:retake:error:${error.code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: clean(error.message),
    instance: clean(path),
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: clean(error.hint) }),
    retry: error.retry,
    requestId,
    ...(fields ? { fields: fields.map((field) => ({ ...field, message: clean(field.message) })) } : {}),
  }
}

export function problemResponse(problem: Problem, thrown: unknown): Response {
  const more = httpOf(thrown)?.headers
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      'content-type': PROBLEM_TYPE,
      'cache-control': 'no-store',
      ...(problem.status === 503 ? { 'retry-after': '1' } : {}),
      ...more,
    },
  })
}
