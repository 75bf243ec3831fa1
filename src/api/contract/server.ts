import * as z from 'zod'
import { instant, type Shown, sentence } from './words.ts'

export const serverSchema = z
  .object({
    version: z.string(),
    startedAt: instant.describe('Of the server that answers.'),
    servers: z
      .array(
        z.object({
          id: z.string(),
          host: z.string(),
          version: z.string(),
          startedAt: instant,
          seenAt: instant,
          isAlive: z.boolean().describe('False: it has not been seen for too long, and its work is taken over.'),
        }),
      )
      .describe('All that share the work.'),
    database: z.object({
      kind: z.enum(['embedded', 'external']),
      state: z.enum(['reachable', 'unreachable']),
      latencyMs: z.number().optional(),
      error: sentence.optional(),
    }),
  })
  .describe('The server and those that share the work with it.')
export type ServerInfo = Shown<typeof serverSchema>

export const livenessSchema = z.object({ alive: z.literal(true) }).describe('The process answers.')

export const readinessSchema = z
  .object({
    ready: z.boolean(),
    reasons: z
      .array(z.object({ code: z.string(), message: sentence.optional().describe('Only for who sends the token.') }))
      .describe('Why it is not ready.'),
  })
  .describe('Whether it can do its work.')
export type Readiness = Shown<typeof readinessSchema>
