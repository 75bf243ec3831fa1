/** What `retake status --json` and `retake window --json` print; programs that read those read these. */
import * as z from 'zod'
import { clusterName, count, instant, lsn, type Shown, sentence } from './words.ts'

const edge = z.object({ lsn, at: instant.optional().describe("The server's clock.") })

export const gapSchema = z
  .object({
    timeline: z.int(),
    beginLsn: lsn,
    endLsn: lsn,
    recorded: z.boolean().describe('False: stored WAL has disappeared since it was received, which is damage.'),
    givenUp: z.literal(true).optional().describe('By retention: older backups beyond it restore to their own end.'),
    explanation: sentence,
  })
  .describe('WAL that is not held.')

const recoverySpan = z.object({
  timeline: z.int(),
  from: edge,
  to: edge,
  backups: z.array(z.string()),
  gaps: z.array(gapSchema).describe('Holes after this stretch.'),
})

const damage = z.object({ object: z.string(), timeline: z.int().optional(), message: sentence })

export const windowSchema = z
  .object({
    cluster: clusterName,
    windows: z.array(recoverySpan).describe('Oldest branch first. Empty: nothing can be restored.'),
    unknownTimelines: z.array(z.int()),
    strandedBackups: z.array(z.string()).describe('No window contains them.'),
    damage: z.array(damage),
  })
  .describe('Which moments can be restored.')
export type Window = Shown<typeof windowSchema>

export const copiesSchema = z
  .object({
    copies: z.array(z.string()),
    unknown: z.array(z.string()).describe('Copies that could not be asked.'),
    places: count,
    offsite: z.boolean(),
    missing: z.array(z.enum(['copies', 'places', 'offsite'])).describe('What 3-2-1 lacks.'),
  })
  .describe('Which copies of the repository hold a backup.')

const mirrors = z.object({
  mirrorSync: z.string(),
  generation: count,
  changedAt: instant.optional(),
  reason: sentence.optional(),
  copies: z.array(
    z.object({
      name: z.string(),
      url: z.string(),
      place: z.string().optional(),
      offsite: z.boolean(),
      isPrimary: z.boolean(),
      state: z.enum(['current', 'joining', 'behind', 'following', 'empty', 'foreign', 'unreachable']),
      syncedAt: instant.optional(),
      lag: z.object({ missingObjects: count, missingBytes: z.number(), extraObjects: count }).optional(),
      lagMs: z.number().optional(),
    }),
  ),
  unknown: z.array(z.string()),
})

const server = z.object({ timeline: z.int().optional(), flushLsn: lsn, now: instant, inRecovery: z.boolean() })

const slot = z.object({
  name: z.string(),
  exists: z.boolean(),
  active: z.boolean(),
  restartLsn: lsn.optional(),
  walStatus: z.string().optional(),
  heldBytes: z.number().optional(),
  safeBytes: z.number().optional(),
})

const native = z
  .object({
    project: z.string().describe("The project's reference."),
    name: z.string().optional(),
    at: instant,
    projectStatus: z.string().describe('As Supabase names it.'),
    mode: z
      .enum(['pitr', 'daily', 'none', 'unknown'])
      .describe('`unknown`: it could not be asked, for this `reason`; then the list says nothing.'),
    reason: sentence.optional(),
    code: z.string().optional(),
    fix: z.string().optional(),
    backups: z.array(
      z.object({
        id: z.number(),
        at: instant,
        kind: z.enum(['physical', 'logical', 'unknown']),
        status: z.enum(['success', 'failed', 'in_progress', 'unknown']),
        rawStatus: z.string(),
      }),
    ),
    window: z.object({ granularity: z.enum(['second', 'day']), earliest: instant, latest: instant }).optional(),
    ageMs: z.number().optional(),
    lag: z
      .discriminatedUnion('kind', [
        z.object({ kind: z.literal('idle') }),
        z.object({ kind: z.literal('failing'), since: instant }),
        z.object({ kind: z.literal('waiting'), segments: count }),
        z.object({ kind: z.literal('unknown'), reason: sentence }),
      ])
      .optional(),
    retentionDays: z.union([z.number(), z.literal('unknown')]),
    retentionReason: sentence.optional(),
  })
  .describe('What Supabase itself holds, where a project is configured.')

export const statusSchema = z
  .object({
    schemaVersion: z.literal(1),
    cluster: clusterName,
    at: instant,
    verdict: z.enum(['ok', 'endangered']),
    reasons: z.array(
      z.object({ code: z.string(), severity: z.enum(['danger', 'warning']), message: sentence, fix: z.string() }),
    ),
    backupCount: count,
    lastBackup: z
      .object({ backupId: z.string(), label: z.string().optional(), stoppedAt: instant, ageMs: z.number() })
      .optional(),
    windows: z.array(recoverySpan),
    archive: z
      .object({
        timeline: z.int(),
        flushLsn: lsn,
        at: instant,
        caughtUpAt: instant.optional(),
        spool: z.object({ host: z.string(), acknowledgedLsn: lsn }).optional(),
      })
      .optional(),
    rpo: z.object({
      state: z.enum(['caught-up', 'behind', 'unknown']),
      behindBytes: z.number().optional(),
      behindMs: z.number().optional(),
      explanation: sentence,
    }),
    receiver: z.object({ holder: z.string(), host: z.string(), pid: z.int(), since: instant }).optional(),
    server: server.optional(),
    serverError: z.object({ code: z.string(), message: sentence }).optional(),
    slot: slot.optional(),
    gaps: z.array(gapSchema),
    damage: z.array(damage),
    mirrors: mirrors.optional(),
    lastBackupCopies: copiesSchema.optional(),
    native: native.optional(),
  })
  .describe('How much would be lost just now, and what endangers recovery.')
export type Status = Shown<typeof statusSchema>
