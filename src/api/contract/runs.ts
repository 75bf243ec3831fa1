import * as z from 'zod'
import { clusterName, failureSchema, instant, opaqueId, pageOf, type Shown, sentence } from './words.ts'

export const taskSchema = z.enum(['backup', 'verify', 'prune', 'drill', 'check'])
export const runStateSchema = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled'])
export type RunState = z.output<typeof runStateSchema>

/** What is asked for, beside the task. A field that is not known is refused: it would be a wish that nobody fulfils. */
export const startRunSchema = z
  .discriminatedUnion('task', [
    z.strictObject({
      task: z.literal('backup'),
      type: z
        .enum(['full', 'incremental'])
        .optional()
        .describe('Default: incremental, and full where there is no parent.'),
      label: z
        .string()
        .regex(/^[\P{Cc}]{1,200}$/u)
        .optional(),
    }),
    z.strictObject({
      task: z.literal('verify'),
      deep: z.boolean().optional().describe('Read every byte. Default false.'),
      backupId: opaqueId.optional().describe('Only this backup. Default: the whole repository.'),
    }),
    z.strictObject({
      task: z.literal('prune'),
      dryRun: z.boolean().optional().describe('Say what would be done, and change nothing. Default false.'),
    }),
    z.strictObject({
      task: z.literal('drill'),
      at: z
        .string()
        .regex(/^[\P{Cc}]{1,200}$/u)
        .optional()
        .describe('A target as `--at` takes it, or `random`. Default: random.'),
      deep: z.boolean().optional().describe('Read every row too. Default false.'),
    }),
    z.strictObject({ task: z.literal('check') }),
  ])
  .describe('What is to be done.')
export type StartRun = Shown<typeof startRunSchema>

export const runSchema = z
  .object({
    id: opaqueId,
    cluster: clusterName,
    task: taskSchema,
    state: runStateSchema,
    startedBy: z.object({
      kind: z.enum(['person', 'token', 'schedule', 'server']),
      name: z.string().optional().describe('Of the person, the token or the schedule.'),
    }),
    requestedAt: instant,
    startedAt: instant.optional().describe('Absent while it is queued.'),
    endedAt: instant.optional(),
    cancelRequestedAt: instant.optional().describe('It stops at the next step that can be left.'),
    phase: z.string().optional(),
    progress: z
      .object({
        done: z.number(),
        total: z.number().optional().describe('Absent while it is unknown.'),
        unit: z.enum(['bytes', 'files', 'segments', 'objects', 'steps']),
        message: sentence.optional(),
      })
      .optional()
      .describe('Of the phase.'),
    server: z.string().optional().describe('Which server works on it, or did last.'),
    attempt: z.int().positive().optional().describe('How often it was begun or taken up again.'),
    result: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('Of what succeeded: what the command of the same name prints with --json.'),
    error: failureSchema.optional().describe('Of what failed.'),
  })
  .describe('One durable piece of work: it survives the end of the server that began it.')
export type Run = Shown<typeof runSchema>

export const runPageSchema = pageOf(runSchema).describe('Newest first.')

/** Whether nothing will come of it any more. */
export const isOver = (state: RunState): boolean => state === 'succeeded' || state === 'failed' || state === 'cancelled'
