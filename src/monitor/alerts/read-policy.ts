/** The policy as people write it into the file of the server. */
import * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import { parseCron } from '../../schedules/cron.ts'
import { isTimeZone } from '../../schedules/occurrences.ts'
import { DEFAULT_ZONE } from '../../schedules/schedule.ts'
import { canarySchema, digestSchema, planRegular, type RegularNotices } from '../regular/plan.ts'
import type { RegularMaintenance } from './maintenance.ts'
import { type AlertPolicy, DEFAULT_AFTER_MS, defaultPolicy, firstOf, reachOf } from './policy.ts'
import { alertRules } from './rules.ts'
import { MINUTE_MS } from './sightings.ts'

const names = z.array(z.string().min(1)).min(1)
const severity = z.enum(['critical', 'warning', 'info'])

const levels = z
  .array(z.strictObject({ channels: names, afterMinutes: z.number().min(0).max(1440).optional() }))
  .min(1)
  .max(3)

const rules = z.record(
  z.string(),
  z.strictObject({
    enabled: z.boolean().optional(),
    severity: severity.optional(),
    forMinutes: z.number().min(0).max(10_080).optional(),
    keepFiringMinutes: z.number().min(0).max(10_080).optional(),
  }),
)

const route = z.strictObject({
  severities: z.array(severity).min(1).optional(),
  rules: names.optional(),
  kinds: z
    .array(z.enum(['fired', 'reminder']))
    .min(1)
    .optional(),
  channels: names,
})

/** Of one cluster. */
const ownSchema = z.strictObject({
  levels: levels.optional(),
  everybody: names.optional(),
  routes: z.array(route).optional(),
  rules: rules.optional(),
})

const maintenance = z.strictObject({
  cron: z.string(),
  zone: z
    .string()
    .refine(isTimeZone, { error: 'a zone is a name of the IANA time zone database, such as Europe/Berlin or UTC' })
    .optional(),
  minutes: z.int().min(1).max(10_080),
  clusters: names.optional(),
  rules: names.optional(),
  reason: z.string().min(1).max(500),
})

const policySchema = ownSchema.extend({
  successes: names.optional(),
  digest: digestSchema.optional(),
  canary: canarySchema.optional(),
  groupWaitSeconds: z.number().min(0).max(3600).optional(),
  acknowledgedForMinutes: z.number().min(1).max(1440).optional(),
  clusters: z.record(z.string(), ownSchema).optional(),
  maintenance: z.array(maintenance).max(100).optional(),
})

type Own = z.infer<typeof ownSchema>

export interface ReadPolicy {
  /** Of every cluster that has none of its own. */
  readonly policy: AlertPolicy
  readonly clusters: Readonly<Record<string, AlertPolicy>>
  readonly maintenance: readonly RegularMaintenance[]
  /** Channels that are told of backups that went well. */
  readonly successes: readonly string[]
  readonly regular: RegularNotices
}

/** What the server has, by name. */
export interface KnownNames {
  readonly channels: readonly string[]
  readonly clusters: readonly string[]
}

export function policyOf({ policy, clusters }: ReadPolicy, cluster: string): AlertPolicy {
  return clusters[cluster] ?? policy
}

/**
 * Without levels, every channel is told at once. A name that is no channel, no cluster or no rule is refused: nobody would be told.
 * @throws RetakeError `config.invalid`
 */
export function readAlertPolicy(value: unknown, known: KnownNames): ReadPolicy {
  const parsed = policySchema.safeParse(value ?? {})
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`alerts.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unknown reason'}`)
  }
  const { successes = [], acknowledgedForMinutes, groupWaitSeconds, clusters = {}, ...rest } = parsed.data
  const { maintenance: windows = [], digest = {}, canary = {}, ...general } = rest
  const { channels } = known
  assertKnown('alerts.digest', 'channel', { names: digest.channels ?? [], known: channels })
  assertKnown('alerts.successes', 'channel', { names: successes, known: channels })
  assertKnown('alerts.clusters', 'cluster', { names: Object.keys(clusters), known: known.clusters })
  const base: AlertPolicy = {
    ...defaultPolicy,
    levels: channels.length === 0 ? [] : [{ channels, afterMs: 0 }],
    everybody: channels,
    ...(groupWaitSeconds === undefined ? {} : { groupWaitMs: groupWaitSeconds * 1000 }),
    ...(acknowledgedForMinutes === undefined ? {} : { acknowledgedForMs: acknowledgedForMinutes * MINUTE_MS }),
  }
  const policy = withOwn(base, general, { place: 'alerts', channels })
  const own = Object.entries(clusters).map(
    ([name, its]) => [name, withOwn(policy, its, { place: `alerts.clusters.${name}`, channels })] as const,
  )
  const all = [policy, ...own.map(([, its]) => its)].flatMap(reachOf)
  return {
    policy,
    clusters: Object.fromEntries(own),
    maintenance: windows.map((window, index) => readMaintenance(window, `alerts.maintenance.${index}`, known)),
    successes,
    regular: planRegular({ digest, canary, first: firstOf(policy), all: [...new Set(all)] }),
  }
}

/** What is said takes the place of what is more general; of rules, each thing that is said of one. */
function withOwn(
  policy: AlertPolicy,
  own: Own,
  { place, channels }: { readonly place: string; readonly channels: readonly string[] },
): AlertPolicy {
  const { everybody = policy.everybody, routes = policy.routes } = own
  const ownLevels = own.levels?.map((level, index) => ({
    channels: level.channels,
    afterMs: level.afterMinutes === undefined ? (DEFAULT_AFTER_MS[index] ?? 0) : level.afterMinutes * MINUTE_MS,
  }))
  const named = [...(ownLevels ?? []), ...routes].flatMap((one) => one.channels)
  assertKnown(place, 'channel', { names: [...named, ...everybody], known: channels })
  assertRules(`${place}.rules`, Object.keys(own.rules ?? {}))
  assertRules(
    `${place}.routes`,
    routes.flatMap((one) => one.rules ?? []),
  )
  if (ownLevels?.some(({ afterMs }, index) => afterMs < (ownLevels[index - 1]?.afterMs ?? 0))) {
    throw invalid(`${place}.levels: each level comes later than the one before`)
  }
  const changes = Object.entries(own.rules ?? {}).map(([name, { forMinutes, keepFiringMinutes, ...rest }]) => [
    name,
    {
      ...policy.rules[name],
      ...rest,
      ...(forMinutes === undefined ? {} : { forMs: forMinutes * MINUTE_MS }),
      ...(keepFiringMinutes === undefined ? {} : { keepFiringMs: keepFiringMinutes * MINUTE_MS }),
    },
  ])
  return {
    ...policy,
    levels: ownLevels ?? policy.levels,
    everybody,
    routes,
    rules: { ...policy.rules, ...Object.fromEntries(changes) },
  }
}

function readMaintenance(
  { cron, zone = DEFAULT_ZONE, minutes, clusters, rules: only, reason }: z.infer<typeof maintenance>,
  place: string,
  known: KnownNames,
): RegularMaintenance {
  const read = parseCron(cron)
  if ('problem' in read) throw invalid(`${place}.cron: ${read.problem}`)
  assertKnown(`${place}.clusters`, 'cluster', { names: clusters ?? [], known: known.clusters })
  assertRules(`${place}.rules`, only ?? [])
  return { cron: read.cron, zone, lengthMs: minutes * MINUTE_MS, clusters, rules: only, reason }
}

function assertRules(place: string, stated: readonly string[]): void {
  assertKnown(place, 'rule', { names: stated, known: alertRules.map(({ name }) => name) })
}

function assertKnown(
  place: string,
  what: string,
  { names: stated, known }: { readonly names: readonly string[]; readonly known: readonly string[] },
): void {
  const stranger = stated.find((name) => !known.includes(name))
  if (stranger !== undefined) throw invalid(`${place}: there is no ${what} "${stranger}"`)
}

function invalid(problem: string): RetakeError {
  return new RetakeError('config.invalid', `${problem}.`, { hint: 'docs/alerts.md shows what may stand there.' })
}
