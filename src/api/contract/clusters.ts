import * as z from 'zod'
import { clusterName, count, instant, lsn, pageOf, type Shown, sentence } from './words.ts'

export const bandSchema = z.enum(['good', 'attention', 'at risk', 'unknown'])
export const verdictSchema = z
  .enum(['ok', 'endangered', 'unknown'])
  .describe('`unknown` when it could not be found out, also when what is known is too old.')

/** A line of the list of clusters: what is known without asking anybody anew. */
export const clusterSchema = z
  .object({
    name: clusterName,
    provider: z.enum(['postgres', 'supabase']),
    verdict: verdictSchema,
    /** Absent: no look yet. */
    checkedAt: instant.optional().describe('When its health was last looked at.'),
    score: z.number().min(0).max(100).optional().describe('Absent: unknown.'),
    band: bandSchema,
    lastBackupAt: instant.optional(),
    recoverableTo: z
      .object({ lsn: lsn.optional(), at: instant.optional() })
      .optional()
      .describe('The last moment that can be restored.'),
    alerts: z.object({ critical: count, warning: count, info: count }).describe('Those that nobody resolved.'),
    runs: count.describe('Runs that are queued or running.'),
  })
  .describe('A cluster that this server watches.')
export type Cluster = Shown<typeof clusterSchema>

export const clusterPageSchema = pageOf(clusterSchema).describe('By name.')

export const clusterEventSchema = z
  .object({
    kind: z
      .enum(['health', 'backup', 'window', 'schedule', 'run', 'alert', 'maintenance', 'reset'])
      .describe('What is to be read anew. `reset`: everything, because changes may have been missed.'),
    at: instant,
    subject: z.string().optional().describe('The id of the run, the key of the alert, the name of the schedule.'),
    summary: sentence.optional(),
  })
  .describe('Something about a cluster has changed.')
export type ClusterEvent = Shown<typeof clusterEventSchema>
