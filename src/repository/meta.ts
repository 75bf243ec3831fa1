import type * as z from 'zod'
import { damaged } from './container.ts'

/** Checks the shape of data that came out of an authentic object. @throws RetakeError `repo.damaged` naming it */
export function decodeMeta<T>(schema: z.ZodType<T>, value: unknown, object: { readonly key: string }): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw damaged(
    object,
    `its data does not fit the format (${issue?.path.join('.') || 'value'}: ${issue?.message ?? 'unknown'})`,
  )
}
