/** The policy as people write it into the file of the server. */
import * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import { canarySchema, digestSchema, planRegular, type RegularNotices } from '../regular/plan.ts'
import { type AlertPolicy, DEFAULT_AFTER_MS, defaultPolicy } from './policy.ts'
import { alertRules } from './rules.ts'

const MINUTE_MS = 60_000
const names = z.array(z.string().min(1)).min(1)
const severity = z.enum(['critical', 'warning', 'info'])

const policySchema = z.strictObject({
  levels: z
    .array(z.strictObject({ channels: names, afterMinutes: z.number().min(0).max(1440).optional() }))
    .min(1)
    .max(3)
    .optional(),
  everybody: names.optional(),
  successes: names.optional(),
  digest: digestSchema.optional(),
  canary: canarySchema.optional(),
  groupWaitSeconds: z.number().min(0).max(3600).optional(),
  acknowledgedForMinutes: z.number().min(1).max(1440).optional(),
  rules: z
    .record(
      z.string(),
      z.strictObject({
        enabled: z.boolean().optional(),
        severity: severity.optional(),
        forMinutes: z.number().min(0).max(10_080).optional(),
        keepFiringMinutes: z.number().min(0).max(10_080).optional(),
      }),
    )
    .optional(),
})

export interface ReadPolicy {
  readonly policy: AlertPolicy
  /** Channels that are told of backups that went well. */
  readonly successes: readonly string[]
  readonly regular: RegularNotices
}

/**
 * Without levels, every channel is told at once. A name that is no channel, or no rule, is refused: nobody would be told.
 * @param channels the names of those that are configured
 * @throws RetakeError `config.invalid`
 */
export function readAlertPolicy(value: unknown, channels: readonly string[]): ReadPolicy {
  const parsed = policySchema.safeParse(value ?? {})
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`alerts.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unknown reason'}`)
  }
  const {
    levels,
    everybody = channels,
    successes = [],
    digest = {},
    canary = {},
    acknowledgedForMinutes,
    groupWaitSeconds,
    rules = {},
  } = parsed.data
  const told = (levels ?? []).flatMap((level) => level.channels)
  const unknown = [...told, ...everybody, ...successes, ...(digest.channels ?? [])].find(
    (name) => !channels.includes(name),
  )
  if (unknown !== undefined) throw invalid(`alerts: there is no channel "${unknown}"`)
  const stranger = Object.keys(rules).find((name) => !alertRules.some((rule) => rule.name === name))
  if (stranger !== undefined) throw invalid(`alerts.rules: there is no rule "${stranger}"`)
  const policy: AlertPolicy = {
    ...defaultPolicy,
    levels: (levels ?? (channels.length === 0 ? [] : [{ channels }])).map((level, index) => ({
      channels: level.channels,
      afterMs:
        'afterMinutes' in level && level.afterMinutes !== undefined
          ? level.afterMinutes * MINUTE_MS
          : (DEFAULT_AFTER_MS[index] ?? 0),
    })),
    everybody,
    ...(groupWaitSeconds === undefined ? {} : { groupWaitMs: groupWaitSeconds * 1000 }),
    ...(acknowledgedForMinutes === undefined ? {} : { acknowledgedForMs: acknowledgedForMinutes * MINUTE_MS }),
    rules: Object.fromEntries(
      Object.entries(rules).map(([name, { forMinutes, keepFiringMinutes, ...rest }]) => [
        name,
        {
          ...rest,
          ...(forMinutes === undefined ? {} : { forMs: forMinutes * MINUTE_MS }),
          ...(keepFiringMinutes === undefined ? {} : { keepFiringMs: keepFiringMinutes * MINUTE_MS }),
        },
      ]),
    ),
  }
  if (policy.levels.some(({ afterMs }, index) => afterMs < (policy.levels[index - 1]?.afterMs ?? 0))) {
    throw invalid('alerts.levels: each level comes later than the one before')
  }
  const all = [...new Set([...policy.levels.flatMap((level) => level.channels), ...everybody])]
  return { policy, successes, regular: planRegular({ digest, canary, first: policy.levels[0]?.channels ?? [], all }) }
}

function invalid(problem: string): RetakeError {
  return new RetakeError('config.invalid', `${problem}.`, { hint: 'docs/alerts.md shows what may stand there.' })
}
