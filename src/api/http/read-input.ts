/** A request, checked against what is said of its operation. Everything that does not fit is listed at once. */
import type * as z from 'zod'
import type { OperationFacts } from '../contract/operation.ts'
import type { ProblemField } from '../contract/problem.ts'
import { refusal } from './refusals.ts'

export interface ReadInputOptions {
  readonly params: Readonly<Record<string, string>>
  readonly bodyLimitBytes: number
}

/** Parameters of path and query side by side; `body` where there is one. */
export type RequestInput = Readonly<Record<string, unknown>>

/** @throws RetakeError `api.invalid` */
export async function readInput(
  facts: OperationFacts,
  request: Request,
  { params, bodyLimitBytes }: ReadInputOptions,
): Promise<RequestInput> {
  const fields: ProblemField[] = []
  const { searchParams } = new URL(request.url)
  const path = check(facts.params, params, { in: 'path', fields })
  const query = check(facts.query, queryOf(facts.query, { searchParams, fields }), { in: 'query', fields })
  const sent =
    request.method === 'GET' || request.method === 'HEAD' ? undefined : await readBody(request, bodyLimitBytes)
  const body = facts.body && check(facts.body, sent ?? {}, { in: 'body', fields })
  if (fields.length > 0) {
    const [first] = fields
    const where = first && first.field !== '' ? `"${first.field}"` : 'its whole'
    throw refusal(
      'api.invalid',
      `The ${first?.in} is not as described (${where}: ${first?.message}). Nothing was changed.`,
      {
        status: 400,
        fields,
        hint: 'See `fields`, and /api/v1/openapi.json for what is expected.',
      },
    )
  }
  return { ...asObject(path), ...asObject(query), ...(facts.body ? { body } : {}) }
}

interface CheckContext {
  readonly in: ProblemField['in']
  readonly fields: ProblemField[]
}

function check(schema: z.ZodType | undefined, value: unknown, context: CheckContext): unknown {
  if (!schema) return {}
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) {
    context.fields.push({ in: context.in, field: path.join('.'), message })
  }
  return {}
}

/** Text is what a query is made of; where a number or a truth is expected, it is read as such. */
function queryOf(
  schema: z.ZodObject | undefined,
  { searchParams, fields }: { readonly searchParams: URLSearchParams; readonly fields: ProblemField[] },
): Record<string, unknown> {
  const shape = schema?.shape ?? {}
  const read: Record<string, unknown> = {}
  for (const name of new Set(searchParams.keys())) {
    const values = searchParams.getAll(name)
    const kind = Object.hasOwn(shape, name) ? kindOf(shape[name]) : undefined
    if (kind === undefined) fields.push({ in: 'query', field: name, message: 'is not known here' })
    else if (values.length > 1) fields.push({ in: 'query', field: name, message: 'is given more than once' })
    else read[name] = convert(values[0] ?? '', kind)
  }
  return read
}

function kindOf(schema: z.core.$ZodType | undefined): string | undefined {
  let inner = schema
  while (inner && 'innerType' in inner._zod.def) inner = inner._zod.def.innerType as z.core.$ZodType
  return inner?._zod.def.type
}

function convert(text: string, kind: string): unknown {
  if (kind === 'number' && /^-?\d{1,15}(\.\d+)?$/.test(text)) return Number(text)
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/** Undefined: there is none. */
async function readBody(request: Request, limitBytes: number): Promise<unknown> {
  const text = await readText(request, limitBytes)
  if (text === '') return undefined
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw refusal('api.invalid', 'The body is not declared as JSON. Nothing was changed.', {
      status: 415,
      hint: 'Send it with: Content-Type: application/json',
      headers: { accept: 'application/json' },
    })
  }
  try {
    return JSON.parse(text)
  } catch {
    throw refusal('api.invalid', 'The body is not JSON. Nothing was changed.', {
      status: 400,
      fields: [{ in: 'body', field: '', message: 'is not JSON' }],
    })
  }
}

async function readText(request: Request, limitBytes: number): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > limitBytes) throw tooLarge(limitBytes)
  const reader = request.body?.getReader()
  if (!reader) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw refusal('api.invalid', 'The body ended before it was complete. Nothing was changed.', { status: 400 })
    })
    bytes += value?.length ?? 0
    if (bytes > limitBytes) {
      // What is still to come is drained, or cut off, by whoever owns the connection.
      reader.releaseLock()
      throw tooLarge(limitBytes)
    }
    try {
      text += decoder.decode(value, { stream: !done })
    } catch {
      throw refusal('api.invalid', 'The body is not UTF-8. Nothing was changed.', { status: 400 })
    }
    if (done) return text
  }
}

const tooLarge = (limitBytes: number) =>
  refusal('api.invalid', `The body is larger than ${limitBytes} bytes. Nothing was changed.`, {
    status: 413,
    headers: { connection: 'close' },
  })

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}
