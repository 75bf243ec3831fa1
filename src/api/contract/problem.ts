/** What every refusal and failure looks like. https://www.rfc-editor.org/rfc/rfc9457 */
import * as z from 'zod'
import { type Shown, sentence } from './words.ts'

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:retake:error:` and the code.'),
    title: z.string(),
    status: z.int(),
    detail: sentence.describe('What failed, and what that means.'),
    instance: z.string().describe('The path that was asked for.'),
    code: z.string().describe('One of docs/errors.md.'),
    hint: sentence.optional().describe('The next step.'),
    retry: z.enum(['never', 'later', 'always']),
    requestId: z.string().describe('The same as in the log of the server.'),
    fields: z
      .array(
        z.object({
          in: z.enum(['path', 'query', 'header', 'body']),
          field: z.string().describe('Such as `options.label`; empty: the whole.'),
          message: sentence,
        }),
      )
      .optional()
      .describe('What in the request is not as described.'),
  })
  .describe('A refusal or a failure (RFC 9457).')

export type Problem = Shown<typeof problemSchema>
export type ProblemField = NonNullable<Problem['fields']>[number]

export const PROBLEM_TYPE = 'application/problem+json'
