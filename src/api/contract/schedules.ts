/** What `retake schedules --json` prints. */
import * as z from 'zod'
import { clusterName, instant, type Shown } from './words.ts'

const due = { at: instant, startAt: instant.describe('When it begins, after jitter and blackouts.') }

const judged = z.object({
  ...due,
  outcome: z.enum(['succeeded', 'running', 'due', 'late', 'failed', 'missed', 'idle', 'unknown']),
  runId: z.string().optional(),
  beganAt: instant.optional(),
  endedAt: instant.optional(),
  beganLate: z.boolean(),
})

const schedule = z.object({
  name: z.string(),
  task: z.enum(['backup', 'verify', 'prune', 'drill']),
  type: z.enum(['full', 'incremental']).optional(),
  deep: z.literal(true).optional(),
  target: z.enum(['random', 'latest']).optional(),
  cron: z.string(),
  words: z.string(),
  zone: z.string(),
  jitterMs: z.number(),
  graceMs: z.number(),
  verdict: z.enum(['ok', 'missed', 'unknown']),
  keptSince: instant
    .optional()
    .describe('Since when servers keep it as it is; of what was due before, nothing is late or missed.'),
  putOff: z
    .object({
      at: instant.describe('Which run: when it was due.'),
      since: instant,
      until: instant.describe('Then it begins anyway.'),
      because: z.array(z.string()).describe('Each part of a sentence.'),
    })
    .optional()
    .describe('The newest run waits until the server to protect has less to do.'),
  last: judged.optional().describe('The newest run that was due.'),
  settled: judged.optional().describe('What the verdict is about.'),
  runs: z.array(judged).describe('Oldest first.'),
  knownFrom: instant.describe('Earlier than this, a run of which nothing is held is unknown, not missed.'),
  next: z.array(z.object(due)),
})

export const schedulesSchema = z
  .object({
    cluster: clusterName,
    at: instant,
    configured: z.boolean().describe('False: these are proposed; with `keptSince` they are kept all the same.'),
    verdict: z.enum(['ok', 'missed', 'unknown']),
    schedules: z.array(schedule),
  })
  .describe('What is due when, and whether it came.')
export type Schedules = Shown<typeof schedulesSchema>
