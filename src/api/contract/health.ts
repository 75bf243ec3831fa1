/** What `retake health --json` prints, and how the score went. */
import * as z from 'zod'
import { bandSchema, verdictSchema } from './clusters.ts'
import { clusterName, count, instant, pageOf, type Shown, sentence } from './words.ts'

const check = z.object({
  name: z.string(),
  title: z.string(),
  state: z.enum(['passed', 'failed', 'skipped', 'unknown']),
  severity: z.enum(['danger', 'warning']).optional().describe('Only of what failed.'),
  finding: sentence,
  fix: z.string().optional(),
  code: z.string().optional(),
  at: instant,
  durationMs: z.number(),
  measured: z.record(z.string(), z.unknown()).optional().describe('Absent when nothing was measured.'),
})

const cap = z.object({ name: z.string(), limit: z.number(), reason: sentence, fix: z.string() })

const part = z.object({
  name: z.string(),
  title: z.string(),
  weight: z.number(),
  points: z.number(),
  items: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      weight: z.number(),
      points: z.number(),
      isUnknown: z.boolean().describe('It could not be found out; that counts as nothing.'),
    }),
  ),
})

const score = z.object({
  formula: z.int().describe('Scores of different versions are not comparable.'),
  at: instant,
  value: z.number().min(0).max(100).optional().describe('Absent: too little is known for a number.'),
  band: bandSchema,
  unknownBecause: sentence.optional(),
  points: z.number().describe('What the parts come to, without caps.'),
  parts: z.array(part),
  caps: z.array(cap).describe('The lowest first.'),
  lost: z.array(
    z.object({
      part: z.string(),
      item: z.string(),
      points: z.number(),
      winnable: z.number(),
      reason: sentence,
      fix: z.string(),
    }),
  ),
})

const objective = z.object({
  name: z.string(),
  title: z.string(),
  kind: z.enum(['rto', 'rpo']),
  targetMs: z.number(),
  measuredMs: z.number().optional(),
  state: z.enum(['met', 'missed', 'unknown']),
  finding: sentence,
})

const headline = z.object({
  recoverable: z.object({ share: z.number().optional(), observedMs: z.number(), target: z.number() }),
  runs: z.object({
    share: z.number().optional(),
    slots: count,
    missed: count,
    since: instant.optional(),
    target: z.number(),
  }),
  completion: z.object({ lastMs: z.number().optional(), targetMs: z.number() }),
  drills: z.object({
    share: z.number().optional(),
    counted: z.number(),
    lastOutcome: z.enum(['passed', 'failed']).optional(),
    target: z.number(),
  }),
  sinceLastSuccess: z.object({ ageMs: z.number().optional(), limitMs: z.number().optional() }),
})

export const healthSchema = z
  .object({
    cluster: clusterName,
    at: instant.describe('When it was looked at.'),
    verdict: verdictSchema,
    score,
    checks: z.array(check),
    objectives: z.array(objective),
    headline,
    recommendations: z
      .array(
        z.object({
          points: z.number(),
          lost: z.number(),
          liftsCap: z.number().optional(),
          reason: sentence,
          fix: z.string(),
        }),
      )
      .describe('What wins most, first.'),
  })
  .describe('Checks, score with the reason and the fix for each lost point, objectives.')
export type Health = Shown<typeof healthSchema>

export const scoreRecordSchema = z
  .object({
    at: instant,
    formula: z.int(),
    value: z.number().min(0).max(100).optional(),
    band: bandSchema,
    verdict: verdictSchema,
    points: z.number(),
    caps: z.array(z.string()).describe('Names of the caps that held.'),
    unknownBecause: sentence.optional(),
  })
  .describe('The score at a moment of the past.')
export type ScoreRecord = Shown<typeof scoreRecordSchema>

export const scorePageSchema = pageOf(scoreRecordSchema).describe('Newest first.')
