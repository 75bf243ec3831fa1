import * as z from 'zod'
import { isBackupId } from './layout.ts'

const text = z.string()
const count = z.int().nonnegative()
/** The summary of a backup as it is stored. */
export const summarySchema = z.object({
  backupId: text.refine(isBackupId, 'is not the id of a backup'),
  type: z.enum(['full', 'incremental']),
  parent: text.optional(),
  changeSource: z.enum(['wal-summaries', 'page-lsn', 'content']).optional(),
  reason: text.optional(),
  via: z.enum(['replication', 'files']).optional(),
  label: text.optional(),
  request: text.optional(),
  cluster: text,
  systemIdentifier: text,
  serverVersionNum: count,
  blockSizeBytes: z.int().positive(),
  walSegmentSizeBytes: z.int().positive(),
  dataChecksums: z.boolean(),
  timeline: z.int().positive(),
  startLsn: text,
  stopTimeline: z.int().positive(),
  stopLsn: text,
  startedAt: text,
  stoppedAt: text,
  tablespaces: z.array(z.object({ oid: z.int().positive(), location: text })),
  databases: z.array(z.object({ oid: z.int().positive(), version: text })).optional(),
  fileCount: count,
  totalBytes: count,
  storedBytes: count,
  readBytes: count.optional(),
  changedBytes: count.optional(),
  packCount: count,
  tornBlockCount: count,
  corruptBlockCount: count,
  retakeVersion: text,
})
