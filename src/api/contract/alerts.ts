import * as z from 'zod'
import { clusterName, failureSchema, instant, opaqueId, pageOf, remark, type Shown, sentence } from './words.ts'

export const severitySchema = z.enum(['critical', 'warning', 'info'])

export const alertStateSchema = z
  .enum(['pending', 'firing', 'acknowledged', 'resolved', 'withdrawn', 'flapping', 'silenced', 'inhibited'])
  .describe(
    '`pending`: not long enough. `withdrawn`: told no more, though it is not known to be gone (its rule was switched off, or somebody acknowledged it and left it as it is). `silenced`: snoozed, or a maintenance window is open. `inhibited`: another alert explains it.',
  )

const alertFields = {
  key: opaqueId.describe('The same as long as it is the same rule, cluster and target.'),
  rule: z.string(),
  severity: severitySchema,
  state: alertStateSchema,
  cluster: clusterName,
  title: z.string(),
  finding: sentence,
  effect: sentence.describe('What it means for recovery.'),
  fix: z.string().describe('The exact next step.'),
  since: instant,
  resolvedAt: instant.optional(),
  acknowledgedBy: z.string().optional(),
  acknowledgedUntil: instant.optional().describe('Then it fires again, if it is still there.'),
  snoozedUntil: instant.optional(),
  inhibitedBy: z.string().optional().describe('The key of the alert that explains it.'),
  level: z.int().min(1).max(3).optional().describe('How far it was escalated.'),
  incident: z.string(),
}

export const alertSchema = z
  .object(alertFields)
  .describe('Something that endangers recovery, or a promise that is not kept.')
export type Alert = Shown<typeof alertSchema>

export const alertDetailSchema = z
  .object({
    ...alertFields,
    history: z
      .array(z.object({ at: instant, state: alertStateSchema, by: z.string().optional(), note: sentence.optional() }))
      .describe('Newest first.'),
  })
  .describe('An alert with what became of it.')
export type AlertDetail = Shown<typeof alertDetailSchema>

export const alertPageSchema = pageOf(alertSchema).describe('Newest first.')

export const acknowledgeSchema = z
  .strictObject({ note: remark.optional(), by: remark.optional().describe('Who takes care of it.') })
  .describe('Somebody takes care of it.')

export const snoozeSchema = z
  .strictObject({
    minutes: z.int().min(1).max(10_080).describe('At most a week.'),
    note: remark.optional(),
    by: remark.optional(),
  })
  .describe('Nobody is told for a while; it is recorded all the same.')

export const newMaintenanceSchema = z
  .strictObject({
    cluster: clusterName.optional().describe('Default: all.'),
    rules: z
      .array(z.string().min(1).max(100))
      .min(1)
      .max(50)
      .optional()
      .describe('Only alerts of these rules. Default: all.'),
    from: instant.optional().describe('Default: now.'),
    until: instant,
    reason: remark,
    by: remark.optional(),
  })
  .describe('A time in which nobody is told. Everything is recorded, and the clock of the RPO does not stop.')
export type NewMaintenance = Shown<typeof newMaintenanceSchema>

export const maintenanceSchema = z
  .object({
    id: opaqueId,
    cluster: clusterName.optional(),
    rules: z.array(z.string()).optional(),
    from: instant,
    until: instant,
    state: z.enum(['planned', 'open', 'over']),
    reason: z.string(),
    createdBy: z.string(),
    createdAt: instant,
    endedEarlyAt: instant.optional(),
  })
  .describe('A maintenance window.')
export type Maintenance = Shown<typeof maintenanceSchema>

export const maintenancePageSchema = pageOf(maintenanceSchema).describe('Newest first.')

export const channelSchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    lastDelivery: z.object({ at: instant, notice: z.string() }).optional(),
    lastFailure: z.object({ at: instant, notice: z.string().optional(), error: failureSchema }).optional(),
    provenAt: instant.optional().describe('When the last notice was delivered that a person has confirmed.'),
    failing: z
      .object({ since: instant, error: failureSchema })
      .optional()
      .describe('A notice was given up, or has waited for 15 minutes, and nothing was delivered since.'),
    canary: z
      .object({ notice: z.string(), at: instant, state: z.enum(['waiting', 'delivered', 'failed', 'confirmed']) })
      .optional()
      .describe('The last one. `delivered`: nobody has confirmed it.'),
  })
  .describe('A way to people. Its address and its secrets are not shown.')
export type Channel = Shown<typeof channelSchema>

export const channelListSchema = z.object({ items: z.array(channelSchema) }).describe('By name.')

export const channelTestSchema = z
  .object({
    channel: z.string(),
    notice: z.string(),
    at: instant,
    delivered: z.boolean().describe('The other side has taken it; whether a person saw it, only a canary tells.'),
    durationMs: z.number(),
    message: z.string().optional().describe('What the other side calls it, as a receipt.'),
    error: failureSchema.optional(),
  })
  .describe('What came of a test.')
export type ChannelTest = Shown<typeof channelTestSchema>

export const canarySchema = z
  .object({ channel: z.string(), notice: z.string(), at: instant })
  .describe('A notice on its way that asks a person to confirm it with the code that stands in it.')
export type Canary = Shown<typeof canarySchema>

export const confirmCanarySchema = z
  .strictObject({
    code: z
      .string()
      .regex(/^[A-Za-z0-9 -]{4,20}$/)
      .describe('As it stands in the message; the case does not matter.'),
    by: remark.optional().describe('Who has read it.'),
  })
  .describe('A canary came.')

export const confirmedCanarySchema = z
  .object({ channel: z.string(), notice: z.string(), at: instant, provenAt: instant, confirmedBy: z.string() })
  .describe('A channel that provably reaches a person.')
export type ConfirmedCanary = Shown<typeof confirmedCanarySchema>

export const noticeSchema = z
  .object({
    id: opaqueId,
    kind: z.string(),
    at: instant,
    incident: z.string(),
    severity: severitySchema,
    cluster: clusterName.optional(),
    headline: sentence,
    alerts: z.array(z.string()).describe('Their keys.'),
    level: z.int().min(1).max(3).optional(),
    deliveries: z.array(
      z.object({
        channel: z.string(),
        state: z.enum(['waiting', 'delivered', 'failed']),
        attempts: z.int().nonnegative(),
        at: instant.optional().describe('Of the last attempt.'),
        error: failureSchema.optional(),
      }),
    ),
  })
  .describe('What people were told.')
export type NoticeRecord = Shown<typeof noticeSchema>

export const noticePageSchema = pageOf(noticeSchema).describe('Newest first.')
