/** What everything of the contract is made of. Browser-safe: nothing here or beside it reaches a module of Node. */
import * as z from 'zod'

/** A value that is only read, however deep: what the parts of the server give fits, and what a client gets is not changed. */
export type Seen<T> = T extends readonly (infer E)[]
  ? readonly Seen<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Seen<T[K]> }
    : T

/** The type of an answer of this schema. */
export type Shown<S extends z.ZodType> = Seen<z.output<S>>

export const instant = z.iso.datetime().describe('ISO 8601, UTC.')
export const lsn = z
  .string()
  .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i)
  .describe('A position in the WAL, X/Y.')
export const sentence = z.string()
export const clusterName = z
  .string()
  .regex(/^[\w.-]{1,128}$/)
  .describe('The name of a cluster.')
export const opaqueId = z.string().regex(/^[\w.:~=@-]{1,200}$/)
export const count = z.int().nonnegative()
/** A person's words: no control characters, so that they cannot pass for something else where they are shown. */
export const remark = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(/^\P{Cc}*$/u, 'must not hold control characters')

/** What became of something that failed. Never a secret. */
export const failureSchema = z.object({
  code: z.string().describe('One of docs/errors.md.'),
  message: sentence,
  hint: sentence.optional().describe('The next step.'),
})

/** A list is read page by page: `next` of one page is the `cursor` of the next; where it is absent, that was all. */
export const pageOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), next: z.string().optional().describe('The cursor of the next page.') })

export interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}

export const pageQuery = {
  cursor: z
    .string()
    .regex(/^[\w-]{1,500}$/)
    .optional()
    .describe('`next` of the page before.'),
  limit: z.int().min(1).max(500).optional().describe('At most so many items. Default 50.'),
}

export const DEFAULT_PAGE_LIMIT = 50
