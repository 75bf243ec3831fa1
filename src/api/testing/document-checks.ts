/** Whether an answer is what the OpenAPI document says: checked with the document itself, not with the schemas it was made of. */
import * as z from 'zod'
import { openApiDocument } from '../openapi.ts'

type Json = Readonly<Record<string, unknown>>

interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, Json>> }
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, Json>> }>>>
  >
}

export interface DocumentedAnswer {
  readonly method: string
  /** As the document writes it: `/api/v1/runs/{run}`. */
  readonly path: string
  readonly status: number
  readonly contentType: string
  readonly body: unknown
}

/** @returns what the answer lacks; empty: it is as documented */
export function documentChecker(): (answer: DocumentedAnswer) => string[] {
  const document = JSON.parse(
    JSON.stringify(openApiDocument()).replaceAll('#/components/schemas/', '#/$defs/'),
  ) as Document
  const $defs = document.components.schemas
  return ({ method, path, status, contentType, body }) => {
    const response = document.paths[path]?.[method]?.responses[String(status)]
    if (!response) return [`${method} ${path} documents no ${status}`]
    const content = response.content as
      | Readonly<Record<string, { readonly schema: Json; readonly 'x-event'?: Json }>>
      | undefined
    const media = content?.[contentType]
    if (!media) return [`${method} ${path} documents no ${contentType} with ${status}`]
    const schema = z.fromJSONSchema({ ...(media['x-event'] ?? media.schema), $defs } as Parameters<
      typeof z.fromJSONSchema
    >[0])
    const parsed = schema.safeParse(body)
    return parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  }
}
