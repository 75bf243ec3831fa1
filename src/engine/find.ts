/** `retake find`: what in the log may be the reason for a recovery, with the target that is just before it. */
import { RetakeError } from '../base/errors.ts'
import { formatInstant, type InstantMicros, instantFromDate, parseInstant } from '../base/instant.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import { Activity } from '../journal/activity.ts'
import { Candidates } from '../journal/candidates.ts'
import { incidentsOf, worstFirst } from '../journal/find-incidents.ts'
import { INCIDENT_KINDS, type Incident, type IncidentKind, type IncidentSeverity } from '../journal/incident.ts'
import type { JournalMark } from '../journal/mark.ts'
import { type RelationNames, readNames } from '../journal/names.ts'
import { rangesOfTime } from '../journal/range-of-time.ts'
import { readJournal } from '../journal/read.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import { type HeldArchive, readHeldArchive } from '../recovery/held-archive.ts'
import { choosePath } from '../recovery/plan.ts'
import { openWalLog, type WalLog } from '../recovery/wal-log.ts'
import { listClusterBackups } from './backups.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from './operation.ts'

/** What can be looked for. */
export const incidentKinds: readonly IncidentKind[] = INCIDENT_KINDS

export interface FindOptions extends OperationOptions {
  /** An instant with offset. Default: 24 hours ago. */
  readonly since?: string | undefined
  /** An instant with offset. Default: the end of what is held. */
  readonly until?: string | undefined
  /** `table` or `schema.table`. Default: all. */
  readonly table?: string | undefined
  /** Default: all. */
  readonly kind?: IncidentKind | undefined
  /** Rows that an incident has deleted and changed at the least. */
  readonly minRows?: number | undefined
  /** Default: the newest timeline. */
  readonly timeline?: number | undefined
}

export interface IncidentView {
  readonly kind: IncidentKind
  readonly severity: IncidentSeverity
  readonly what: string
  /** The server's clock, ISO 8601 UTC. */
  readonly at?: string | undefined
  readonly xid?: number | undefined
  readonly lsn: string
  readonly tables: readonly {
    /** Undefined: neither a backup nor the log knows a name for it. */
    readonly name?: string | undefined
    readonly database?: string | undefined
    readonly inserted: number
    readonly updated: number
    readonly deleted: number
    /** About so many it had, when the backup was made that the name is from. */
    readonly rowsBefore?: number | undefined
  }[]
  /** As `--at` takes it: everything but this. */
  readonly before: string
  /** As `--at` takes it: this as well. */
  readonly after: string
  /** Its transaction began before what was read, so it may have done more. */
  readonly isPartial: boolean
}

export interface MarkView {
  readonly type: 'restore-point' | 'message' | 'end-of-recovery'
  readonly at?: string | undefined
  readonly lsn: string
  /** Of a restore point; of a message its prefix. */
  readonly name?: string | undefined
}

export interface ActivityView {
  /** The beginning of the minute by the server's clock, ISO 8601 UTC. */
  readonly at: string
  readonly transactions: number
  readonly rows: number
  readonly walBytes: number
}

export interface FindReport {
  readonly cluster: string
  readonly timeline: number
  readonly since: string
  readonly until?: string | undefined
  /** What was read; more than one where WAL is missing in between. Empty: nothing of that time is held. */
  readonly read: readonly { readonly fromLsn: string; readonly toLsn: string }[]
  readonly readBytes: number
  readonly transactions: number
  /** The worst first. */
  readonly incidents: readonly IncidentView[]
  readonly marks: readonly MarkView[]
  /** Minutes in which something was committed, the oldest first. */
  readonly activity: readonly ActivityView[]
  /** Older changes of definitions that were too many to be kept. */
  readonly leftOut: number
}

/**
 * Reads the WAL that is held of a time, and finds what may have been a mistake: rows deleted and changed by the mass, tables emptied and
 * dropped, changed definitions. The worst comes first, with the target of a recovery to just before it.
 *
 * ```ts
 * const { incidents } = await findIncidents(retake, { since: '2026-11-22T08:00:00Z' }).result
 * console.log(incidents[0]?.what, incidents[0]?.before)
 * ```
 * @throws RetakeError by its `result`: `target.invalid` for an instant that is none, `wal.damaged`, `repo.damaged`, `aborted`
 */
export function findIncidents(retake: Retake, options: FindOptions = {}): Operation<FindReport> {
  return startOperation((context) => find(retake, options, context), options)
}

const DAY_MS = 86_400_000

async function find(retake: Retake, options: FindOptions, context: OperationContext): Promise<FindReport> {
  const { signal } = context
  const since =
    options.since === undefined
      ? instantFromDate(new Date(retake.clock.now().getTime() - DAY_MS))
      : parseInstant(options.since)
  const until = options.until === undefined ? undefined : parseInstant(options.until)
  if (until !== undefined && until <= since) {
    throw new RetakeError('target.invalid', 'The end of the time to look through is not after its beginning.', {
      hint: 'Give --until an instant that is later than --since.',
    })
  }
  const cluster = await retake.cluster()
  const { backups } = await listClusterBackups(cluster)
  const held = await readHeldArchive(cluster)
  const path = choosePath({ held, backups, timeline: options.timeline })
  const log = openWalLog(cluster, { held, path, signal })
  const ranges = await rangesOfTime(log, { since, until })
  const { candidates, marks, stretches } = await read(log, ranges, { since, until, ...context })
  context.onProgress({ phase: 'names', done: 0, unit: 'steps' })
  const found = candidates.transactions()
  const names = await readNames(
    found.flatMap(({ files, droppedFiles }) => [...files.map(({ file }) => file), ...droppedFiles]),
    { cluster, backups: [...backups].reverse(), transactions: found, signal },
  )
  const { nameOf, databaseName } = names
  const ofTime = stretches.flatMap((one, index) =>
    one.incidents(index === stretches.length - 1 && until === undefined ? silentUntil(held, ranges.at(-1)) : undefined),
  )
  const incidents = [
    ...found.flatMap((one) => incidentsOf(one, { nameOf, databaseName, habits: candidates.habits })),
    ...ofTime,
  ]
  return {
    cluster: cluster.facts.name,
    timeline: path.at(-1)?.timeline ?? 1,
    since: formatInstant(since),
    ...(until === undefined ? {} : { until: formatInstant(until) }),
    read: ranges.map(({ beginLsn, endLsn }) => ({ fromLsn: formatLsn(beginLsn), toLsn: formatLsn(endLsn) })),
    readBytes: bytesOf(ranges),
    transactions: candidates.seen,
    incidents: worstFirst(incidents)
      .filter((one) => isWanted(one, options))
      .map(viewIncident),
    marks: marks.map(viewMark),
    activity: stretches.flatMap((one) =>
      one.minutes().map(({ at, ...counts }) => ({ at: formatInstant(at), ...counts })),
    ),
    leftOut: candidates.leftOut,
  }
}

/** The archive knows when it had everything that the server had written. */
function silentUntil({ position }: HeldArchive, range: LsnRange | undefined): InstantMicros | undefined {
  if (!position || !range || parseLsn(position.flushLsn) < range.endLsn) return undefined
  return parseInstant(position.serverTime)
}

interface ReadOptions extends OperationContext {
  readonly since: InstantMicros
  readonly until: InstantMicros | undefined
}

async function read(log: WalLog, ranges: readonly LsnRange[], { since, until, onProgress }: ReadOptions) {
  const candidates = new Candidates()
  const marks: JournalMark[] = []
  const stretches: Activity[] = []
  const total = bytesOf(ranges)
  const isIn = (at: InstantMicros | undefined) =>
    at === undefined || (at >= since && (until === undefined || at <= until))
  let before = 0
  for (const range of ranges) {
    const activity = new Activity()
    stretches.push(activity)
    await readJournal(log, range, {
      onTransaction: (one) => {
        if (!isIn(one.end?.at)) return
        candidates.add(one)
        activity.add(one)
      },
      onMark: (mark) => {
        if (isIn(mark.at)) marks.push(mark)
      },
      onProgress: (lsn) =>
        onProgress({ phase: 'read', done: before + Number(lsn - range.beginLsn), total, unit: 'bytes' }),
    })
    before += Number(range.endLsn - range.beginLsn)
  }
  return { candidates, marks, stretches }
}

const bytesOf = (ranges: readonly LsnRange[]): number =>
  ranges.reduce((sum, { beginLsn, endLsn }) => sum + Number(endLsn - beginLsn), 0)

function isWanted({ kind, tables }: Incident, options: FindOptions): boolean {
  if (options.kind !== undefined && kind !== options.kind) return false
  const rows = tables.reduce((sum, { deleted, updated }) => sum + deleted + updated, 0)
  if (options.minRows !== undefined && rows < options.minRows) return false
  if (options.table === undefined) return true
  return tables.some(({ name }) => [name.table, fullName(name)].includes(options.table))
}

type Name = ReturnType<RelationNames['nameOf']>

function fullName({ schema, table }: Name): string | undefined {
  return table === undefined || schema === undefined ? table : `${schema}.${table}`
}

export function viewIncident({ at, xid, lsn, tables, weight: _, ...rest }: Incident): IncidentView {
  return {
    ...rest,
    ...(at === undefined ? {} : { at: formatInstant(at) }),
    ...(xid === undefined ? {} : { xid }),
    lsn: formatLsn(lsn),
    tables: tables.map(({ name, inserted, updated, deleted }) => ({
      ...(fullName(name) === undefined ? {} : { name: fullName(name) }),
      ...(name.database === undefined ? {} : { database: name.database }),
      ...{ inserted, updated, deleted },
      ...(name.rows === undefined ? {} : { rowsBefore: name.rows }),
    })),
  }
}

export function viewMark({ type, at, lsn, name }: JournalMark): MarkView {
  return {
    type,
    lsn: formatLsn(lsn),
    ...(at === undefined ? {} : { at: formatInstant(at) }),
    ...(name === undefined ? {} : { name }),
  }
}
