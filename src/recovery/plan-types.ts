/** The plan of a restore: plain data that says what will be done and why. What was shown is what is executed. */
import { createHash } from 'node:crypto'
import { RetakeError } from '../base/errors.ts'
import type { AfterRecovery, StopSetting } from './settings.ts'

export const PLAN_SCHEMA_VERSION = 1

export interface RestorePlan {
  readonly schemaVersion: typeof PLAN_SCHEMA_VERSION
  /** ISO 8601 UTC. */
  readonly created: string
  readonly cluster: PlanCluster
  readonly target: PlanTarget
  readonly backup: PlanBackup
  readonly stop: PlanStop
  readonly wal: PlanWal
  readonly files: PlanFiles
  /** Only these are restored: the files of all other tables are left out. Absent: everything is. */
  readonly tables?: PlanTables | undefined
  readonly place: PlanPlace
  readonly server: PlanServer
  readonly predicted: Prediction
  readonly preflight: readonly PreflightResult[]
  /** What a reader should know before applying; nothing here prevents it. */
  readonly warnings: readonly string[]
  /** SHA-256 of everything else as canonical JSON. */
  readonly hash: string
}

export interface PlanCluster {
  readonly name: string
  readonly repositoryId: string
  readonly systemIdentifier: string
  readonly serverVersionNum: number
  readonly major: number
  readonly walSegmentSizeBytes: number
}

export interface PlanTarget {
  /** As `--at` takes it. */
  readonly asked: string
  readonly timeline: number
  /** Through which timelines the log is read; LSNs as text. */
  readonly path: readonly {
    readonly timeline: number
    readonly beginLsn: string
    readonly endLsn?: string | undefined
  }[]
}

export interface PlanBackup {
  readonly backupId: string
  readonly timeline: number
  readonly startLsn: string
  readonly stopLsn: string
  readonly startedAt: string
  readonly stoppedAt: string
  readonly why: string
  /** The backups that were not taken, newest first. */
  readonly others: readonly { readonly backupId: string; readonly why: string }[]
}

/** How PostgreSQL is told to stop, and where that will be. */
export interface PlanStop {
  readonly setting: StopSetting
  /** The record at which recovery stops: the last one applied (`setting.inclusive`), or the first one not applied. */
  readonly recordLsn: string
  readonly applied: boolean
  /** WAL up to here is read. */
  readonly endLsn: string
  /** The last transaction that the restored server will contain, when there is one after the backup's start. */
  readonly lastTransaction?: PlanTransaction | undefined
  readonly why: string
}

export interface PlanTransaction {
  readonly xid: number
  readonly at: string
  readonly lsn: string
}

export interface PlanWal {
  readonly beginLsn: string
  readonly endLsn: string
  readonly segmentCount: number
  readonly bytes: number
  readonly firstSegment: string
  readonly lastSegment: string
}

export interface PlanFiles {
  readonly count: number
  readonly bytes: number
  /** What is written: zero stretches stay holes. */
  readonly writtenBytes: number
  /** What is fetched from the repository. */
  readonly fetchedBytes: number
}

export interface PlanTables {
  readonly database: string
  /** `schema.table`. */
  readonly tables: readonly string[]
  /** Those that the backup does not know by these names: they come out of the WAL, or are not there. */
  readonly notInBackup: readonly string[]
}

export interface PlanTablespace {
  readonly oid: number
  readonly originalLocation: string
  readonly location: string
  readonly bytes: number
}

export interface PlanPlace {
  readonly targetDirectory: string
  readonly tablespaces: readonly PlanTablespace[]
  /** The target directory is there already and is changed in place; absent: a new directory is filled. */
  readonly delta?: PlanDelta | undefined
}

/** What a delta restore finds in the directory. A quick look at names, sizes and times; nothing is compared yet. */
export interface PlanDelta {
  /** Where everything is kept as it is now, as a data directory of its own; absent: nothing is kept. */
  readonly undoDirectory?: string | undefined
  /** Files that the backup has too, and their bytes: these are read and compared. */
  readonly presentFiles: number
  readonly presentBytes: number
  /** Of what the backup writes, the part in files that are missing here or differ in size or time: at most so much is fetched. */
  readonly atMostBytes: number
  /** What the backup does not have, and what is therefore removed. */
  readonly removedFiles: number
  readonly removedBytes: number
  /** Those of them in `pg_wal`: WAL that was perhaps never archived. */
  readonly removedWalFiles: number
}

export interface PlanServer {
  /** False: the files are laid out and the recovery settings written into them; nothing is started. */
  readonly start: boolean
  readonly action: AfterRecovery
  readonly port: number
  /** Nobody asked for this port; if it is taken by then, another one is used and reported. */
  readonly anyPort: boolean
  /** Written into the restored `postgresql.auto.conf`. */
  readonly settings: Readonly<Record<string, string>>
  readonly binDir?: string | undefined
  /** For `start: false`, and for a server that is stopped at the target: what PostgreSQL runs to get WAL. */
  readonly restoreCommand?: string | undefined
}

export interface Prediction {
  readonly fetchMs: number
  readonly replayMs: number
  readonly totalMs: number
  /** For people: how the numbers come about. */
  readonly formula: string
}

export interface PreflightResult {
  readonly name: string
  readonly status: 'passed' | 'warning' | 'failed'
  readonly detail: string
  /** The exact next step, when there is one. */
  readonly fix?: string | undefined
}

export type UnhashedPlan = Omit<RestorePlan, 'hash'>

export function sealPlan(plan: UnhashedPlan): RestorePlan {
  return { ...plan, hash: hashPlan(plan) }
}

/** SHA-256, hexadecimal, over the plan's canonical JSON (sorted keys) without its own `hash`. */
export function hashPlan(plan: UnhashedPlan | RestorePlan): string {
  const { hash: _own, ...rest } = plan as RestorePlan
  return createHash('sha256').update(canonicalJson(rest)).digest('hex')
}

/**
 * Reads a plan that was stored as JSON.
 * @throws RetakeError `plan.stale` when it was changed since it was made, or made by another version of Retake
 */
export function readPlan(value: unknown): RestorePlan {
  const plan = value as Partial<RestorePlan> | null
  if (typeof plan !== 'object' || plan === null || plan.schemaVersion !== PLAN_SCHEMA_VERSION) {
    throw new RetakeError('plan.stale', 'This is not a restore plan that this version of Retake can apply.', {
      hint: 'Make a new plan with `retake restore plan`.',
    })
  }
  if (hashPlan(plan as RestorePlan) !== plan.hash) {
    throw new RetakeError(
      'plan.stale',
      'The plan was changed after it was made: its hash does not match its content.',
      {
        hint: 'Make a new plan with `retake restore plan`; options change a plan, editing does not.',
      },
    )
  }
  return plan as RestorePlan
}

/** JSON with sorted keys and without undefined values, so that equal data has equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonicalJson(one ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(',')}}`
}
