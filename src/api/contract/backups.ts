import * as z from 'zod'
import { copiesSchema } from './status.ts'
import { clusterName, count, instant, lsn, type Shown, sentence } from './words.ts'

export const backupSchema = z
  .object({
    backupId: z.string(),
    type: z.enum(['full', 'incremental']).describe('Either is complete by itself.'),
    parent: z.string().optional(),
    reason: sentence.optional().describe('Why it is a full one, or took a slower way, though neither was asked for.'),
    via: z.enum(['replication', 'files']).optional(),
    label: z.string().optional(),
    cluster: clusterName,
    serverVersionNum: z.int(),
    timeline: z.int(),
    startLsn: lsn,
    stopTimeline: z.int(),
    stopLsn: lsn,
    startedAt: instant.describe("The server's clock."),
    stoppedAt: instant,
    fileCount: count,
    totalBytes: z.number(),
    storedBytes: z.number().describe('Added to the repository by this backup.'),
    readBytes: z.number().optional(),
    changedBytes: z.number().optional(),
    corruptBlockCount: count,
    retakeVersion: z.string(),
    copies: copiesSchema.optional().describe('Only where mirrors are configured.'),
  })
  .describe('A backup.')
export type Backup = Shown<typeof backupSchema>

export const backupPageSchema = z
  .object({
    items: z.array(backupSchema).describe('Newest first.'),
    next: z.string().optional(),
    damaged: z
      .array(z.object({ backupId: z.string(), message: sentence }))
      .describe('Backups whose manifest cannot be read: they cannot be restored.'),
  })
  .describe('Backups of a cluster.')
export type BackupPage = Shown<typeof backupPageSchema>
