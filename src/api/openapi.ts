/** The OpenAPI 3.1 document, made of the schemas that requests and answers are checked with. https://spec.openapis.org/oas/v3.1.1.html */
import * as z from 'zod'
import type { ErrorCode } from '../base/error-codes.ts'
import { RetakeError } from '../base/errors.ts'
import { retakeVersion } from '../base/version.ts'
import { namedSchemas } from './contract/named.ts'
import { API_PREFIX, type OperationFacts } from './contract/operation.ts'
import { operations } from './contract/operations.ts'
import { PROBLEM_TYPE } from './contract/problem.ts'
import { statusOf } from './http/refusals.ts'

type Json = Readonly<Record<string, unknown>>

/** What any operation may answer. */
const ANY_ERRORS: readonly ErrorCode[] = ['api.invalid', 'api.denied', 'api.busy', 'timeout']

export function openApiDocument(): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [name, facts] of Object.entries<OperationFacts>(operations)) {
    const path = `${API_PREFIX}${facts.path}`
    paths[path] = { ...paths[path], [facts.method]: describe(name, facts) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Retake',
      version: retakeVersion(),
      description:
        'Backup, point-in-time recovery and disaster recovery for PostgreSQL. Instants are ISO 8601 in UTC, positions in the WAL X/Y, ' +
        'sizes bytes, durations milliseconds. Fields may be added; a reader ignores those that it does not know.',
    },
    security: [{ token: [] }],
    paths: { ...paths, ...probes() },
    components: {
      schemas: componentSchemas(),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

/** What an operation may answer beside what any may. */
export function operationProblems({ errors, action }: OperationFacts): readonly ErrorCode[] {
  return [...new Set<ErrorCode>([...errors, ...(action ? (['api.conflict'] as const) : [])])]
}

function describe(name: string, facts: OperationFacts): Json {
  const { tag, summary, description, body, status, answer, events } = facts
  return {
    operationId: name,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: [
      ...parameters(facts.params, 'path'),
      ...parameters(facts.query, 'query'),
      ...(facts.action ? [IDEMPOTENCY_KEY] : []),
      ...(events ? [LAST_EVENT_ID] : answer && !facts.action ? [IF_NONE_MATCH] : []),
    ],
    ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } } } : {}),
    responses: {
      [status]: events
        ? {
            description: 'Server-sent events. `data` of each is as described; the last is `end`, with the reason.',
            content: { 'text/event-stream': { schema: { type: 'string' }, 'x-event': reference(events) } },
          }
        : { description: answer?.description ?? '', content: jsonOf(answer) },
      ...(answer && !facts.action ? { 304: { description: 'It is as the `ETag` says.' } } : {}),
      ...problems([...ANY_ERRORS, ...facts.errors], facts),
    },
  }
}

function problems(codes: readonly ErrorCode[], facts: OperationFacts): Json {
  const byStatus = new Map<number, ErrorCode[]>()
  const add = (status: number, code: ErrorCode) => byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  for (const code of codes) add(statusOf(new RetakeError(code, '')), code)
  if (facts.action) {
    add(409, 'api.busy')
    add(422, 'api.conflict')
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([left], [right]) => left - right)
      .map(([status, found]) => [
        status,
        {
          description: [...new Set(found)].map((code) => `\`${code}\``).join(', '),
          content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
  )
}

function parameters(schema: z.ZodObject | undefined, place: 'path' | 'query'): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { $schema: _, description, ...rest } = z.toJSONSchema(field as z.ZodType, { io: 'input' })
    const isRequired = !(field as z.ZodType).safeParse(undefined).success
    return { name, in: place, required: isRequired, ...(description ? { description } : {}), schema: rest }
  })
}

const header = (name: string, description: string): Json => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string', maxLength: 200 },
})
const IDEMPOTENCY_KEY = header(
  'Idempotency-Key',
  'The same key with the same request has its effect once, and the same answer. With another request it is refused.',
)
const LAST_EVENT_ID = header('Last-Event-ID', 'The id of the last event that was seen: only later ones are sent.')
const IF_NONE_MATCH = header('If-None-Match', 'The `ETag` of the last answer: 304 when it is still the same.')

const jsonOf = (schema: z.ZodType | undefined): Json =>
  schema ? { 'application/json': { schema: reference(schema) } } : {}

function reference(schema: z.ZodType): Json {
  const name = Object.keys(namedSchemas).find((key) => namedSchemas[key] === schema)
  if (name === undefined) throw new Error('assertion failed: a schema of the table has no name')
  return { $ref: `#/components/schemas/${name}` }
}

function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(namedSchemas)) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/components/schemas/${id}` })
  return Object.fromEntries(Object.entries(schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]))
}

function probes(): Json {
  const get = (operationId: string, summary: string, more: Json): Json => ({
    get: { operationId, tags: ['probes'], summary, ...more },
  })
  const json = (name: string, description: string): Json => ({
    description,
    content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } },
  })
  return {
    '/livez': get('livez', 'Ask whether the process lives', {
      security: [],
      responses: { 200: json('Liveness', 'It does.') },
    }),
    '/readyz': get('readyz', 'Ask whether it can do its work', {
      security: [{}, { token: [] }],
      responses: { 200: json('Readiness', 'It can.'), 503: json('Readiness', 'It cannot, and why.') },
    }),
    '/metrics': get('metrics', 'Get what is measured, for Prometheus', {
      responses: {
        200: {
          description: 'In the format that `Accept` likes better.',
          content: {
            'text/plain': { schema: { type: 'string' } },
            'application/openmetrics-text': { schema: { type: 'string' } },
          },
        },
      },
    }),
    [`${API_PREFIX}/openapi.json`]: get('openapi', 'Get this document', {
      security: [],
      responses: {
        200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: { type: 'object' } } } },
      },
    }),
  }
}
