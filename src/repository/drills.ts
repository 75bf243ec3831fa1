/**
 * What rehearsed recoveries have shown: one sealed object per drill, written once, after its end. The only holder of these facts, so that
 * whoever has the repository can prove when recovery was last rehearsed. Kept for 400 days, and of very many the newest 500.
 */
import * as z from 'zod'
import type { Clock } from '../base/clock.ts'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { damaged, getSmall, putSmall } from './container.ts'
import { drillKey, drillsPrefix, isBackupId } from './layout.ts'
import { decodeMeta } from './meta.ts'

const instant = z.iso.datetime()
const milliseconds = z.number().min(0)

const checkSchema = z.object({
  /** Such as `databases`; tells it from the others of its drill. */
  name: z.string(),
  title: z.string(),
  /** `skipped`: not wanted, or nothing to check; `not-verifiable`: it cannot be known in a sandbox, or on this machine. */
  result: z.enum(['passed', 'failed', 'skipped', 'not-verifiable']),
  /** What was found, or why nothing was. */
  detail: z.string(),
  durationMs: milliseconds,
})

const drillSchema = z.object({
  id: z.string().refine(isBackupId),
  cluster: z.string(),
  /** Our clock, ISO 8601 UTC. */
  beganAt: instant,
  /** Of one that was killed: when that was noticed. */
  endedAt: instant,
  /** A person, a program, or `schedule NAME`. */
  by: z.string(),
  /** What asked for it: there is one finished drill for a request, however often it is made. */
  request: z.string().optional(),
  /** On which machine. */
  host: z.string(),
  /** Every table and every index was read whole. */
  deep: z.boolean(),
  /** `inconclusive`: it could not be carried out here, which says nothing about the backups. `interrupted`: somebody or something stopped it. */
  outcome: z.enum(['passed', 'failed', 'inconclusive', 'interrupted']),
  target: z
    .object({
      /** As `--at` takes it. */
      asked: z.string(),
      chosen: z.enum(['asked', 'random', 'latest']),
      why: z.string(),
      /** The moment that was to be recovered, when the target is one. */
      at: instant.optional(),
    })
    .optional(),
  backup: z
    .object({
      backupId: z.string(),
      type: z.enum(['full', 'incremental']),
      /** What an incremental one was made on, newest first; it restores without them. */
      madeOn: z.array(z.string()),
      stoppedAt: instant,
    })
    .optional(),
  /** What was laid out and replayed. */
  size: z.object({ files: z.number(), bytes: z.number(), walBytes: z.number() }).optional(),
  versions: z.object({
    retake: z.string(),
    /** Of the cluster, such as 170004. */
    server: z.number(),
    /** Of the programs that recovered it here. */
    programs: z.string().optional(),
  }),
  phases: z.array(z.object({ name: z.string(), durationMs: milliseconds })),
  /** Where recovery ended. */
  reached: z.object({ lsn: z.string(), xid: z.number().optional(), at: instant.optional() }).optional(),
  /** Between the moment that was to be recovered and the last commit that came back; an idle database counts as lost. */
  rpoMs: milliseconds.optional(),
  /** From the order to green checks. */
  rtoMs: milliseconds.optional(),
  checks: z.array(checkSchema),
  warnings: z.array(z.string()),
  /** Why it did not pass, when that is no check. */
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).optional(),
})

/** One drill and what it has shown. Plain data, as it is stored. */
export type DrillRecord = z.infer<typeof drillSchema>
export type DrillCheck = z.infer<typeof checkSchema>
export type DrillOutcome = DrillRecord['outcome']

/** What a drill calls itself among the readers while it runs. */
export const DRILL_HOLDER = 'retake drill'

const DAY_MS = 86_400_000
export const DRILLS_KEPT_MS = 400 * DAY_MS
const MOST_KEPT = 500
/** What comes later than this was not named by this clock. */
const AHEAD_MS = 60_000

/** Durable when it returns. False: there was one already, which stays as it is. */
export async function putDrill(cluster: ClusterRepository, record: DrillRecord): Promise<boolean> {
  return await putSmall(cluster.store, cluster.sealing, {
    ...nameOf(cluster, record.id),
    meta: drillSchema.parse(record),
  })
}

/** @throws RetakeError `drill.missing`, `repo.damaged` */
export async function readDrill(cluster: ClusterRepository, id: string): Promise<DrillRecord> {
  const record = isBackupId(id) ? await readIfThere(cluster, id) : undefined
  if (record) return record
  throw new RetakeError('drill.missing', `There is no record of a drill "${id}" of "${cluster.facts.name}".`, {
    hint: 'List them with `retake drill list`.',
  })
}

/** A draft of a record that a killed process has left. Undefined: it is none. */
export function parseDrill(value: unknown): DrillRecord | undefined {
  const result = drillSchema.safeParse(value)
  return result.success ? result.data : undefined
}

async function readIfThere(cluster: ClusterRepository, id: string): Promise<DrillRecord | undefined> {
  const name = nameOf(cluster, id)
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  if (meta === undefined) return undefined
  const record = decodeMeta(drillSchema, meta, name)
  if (record.id !== id) throw damaged(name, 'it is about another drill')
  return record
}

/** Oldest first. */
export async function listDrillIds(cluster: ClusterRepository): Promise<string[]> {
  const prefix = drillsPrefix(cluster.facts.name)
  const ids: string[] = []
  for await (const { key } of cluster.store.list(prefix)) {
    const id = key.slice(prefix.length)
    if (isBackupId(id)) ids.push(id)
  }
  return ids.sort()
}

export interface ListDrillsOptions {
  /** Only so many of the newest. Default: all. */
  readonly limit?: number | undefined
  /** Told of a record that cannot be read, which is then left out. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, key: string) => void) | undefined
}

/** Newest first. @throws RetakeError `repo.damaged` */
export async function* listDrills(
  cluster: ClusterRepository,
  { limit = Number.POSITIVE_INFINITY, onDamage }: ListDrillsOptions = {},
): AsyncGenerator<DrillRecord> {
  let given = 0
  for (const id of (await listDrillIds(cluster)).reverse()) {
    if (given >= limit) return
    const record = await readIfThere(cluster, id).catch((error: unknown) => {
      if (!isRetakeError(error, 'repo.damaged') || !onDamage) throw error
      onDamage(error, nameOf(cluster, id).key)
      return undefined
    })
    if (!record) continue
    given += 1
    yield record
  }
}

/** Removes those that nobody asks about any more, and those of a clock that was wrong. */
export async function forgetOldDrills(cluster: ClusterRepository, clock: Clock): Promise<void> {
  const ids = await listDrillIds(cluster)
  const nowMs = clock.now().getTime()
  for (const [index, id] of ids.entries()) {
    const isKept =
      index >= ids.length - MOST_KEPT && id >= stampOf(nowMs - DRILLS_KEPT_MS) && id < stampOf(nowMs + AHEAD_MS)
    if (isKept) continue
    try {
      await cluster.store.delete(nameOf(cluster, id).key, { copies: 'reachable' })
    } catch (error) {
      // A lock ends some day, and a later drill comes by.
      if (!isRetakeError(error, 'storage.locked')) throw error
    }
  }
}

const stampOf = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')

const nameOf = ({ facts }: ClusterRepository, id: string) => ({ key: drillKey(facts.name, id), kind: 'drill' }) as const
