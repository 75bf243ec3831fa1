/** `retake preview`: what a recovery to a moment brings back and what it loses, against what is held now. Nothing is restored. */
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isRetakeError } from '../base/errors.ts'
import { formatInstant } from '../base/instant.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import type { PathStep } from '../catalog/timeline-path.ts'
import { incidentsOf, worstFirst } from '../journal/find-incidents.ts'
import type { Incident, TableName } from '../journal/incident.ts'
import { LossTally, type LostCommit } from '../journal/losses.ts'
import { type RelationNames, readNames } from '../journal/names.ts'
import { readJournal } from '../journal/read.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import { formatTable } from '../recovery/tables/table-name.ts'
import type { RecoveryTarget } from '../recovery/targets.ts'
import { openWalLog, type WalLog } from '../recovery/wal-log.ts'
import { SEGMENTS_OF_CHUNK } from '../repository/journal-chunks.ts'
import { listClusterBackups } from './backups.ts'
import { type IncidentView, type MarkView, viewIncident, viewMark } from './find.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from './operation.ts'
import { planRestore } from './restore.ts'
import { sampleTables, type TableSample } from './sample-tables.ts'
import { queryServerView } from './server-view.ts'
import { databaseOf } from './tables/open-tables.ts'

export interface PreviewOptions extends OperationOptions {
  /** As one word (`latest`, `2026-11-22T09:04:11Z`, `lsn:0/3000060`, `xid:812`, `before-xid:812`, `name:before_deploy`) or as data. */
  readonly at: string | RecoveryTarget
  /** Default: the newest timeline that holds the target. */
  readonly timeline?: number | undefined
  /** Default: the newest backup before the target. */
  readonly backupId?: string | undefined
  /** Also some rows of these tables as they were, out of a server that is thrown away; `true`: of those that lose the most. */
  readonly sample?: true | readonly string[] | undefined
}

export interface CommitView {
  readonly xid: number
  /** The server's clock, ISO 8601 UTC. */
  readonly at: string
  readonly lsn: string
  /** As `--at` takes it: up to this commit and with it. */
  readonly target: string
}

export interface TableLoss {
  /** Undefined: neither a backup nor the log knows a name for it. */
  readonly name?: string | undefined
  readonly database?: string | undefined
  /** Rows that were inserted since, and are gone then. */
  readonly inserted: number
  /** Changes of rows since, which are undone then. */
  readonly updated: number
  /** Rows that were deleted since, and are back then. */
  readonly deleted: number
}

export interface PreviewReport {
  readonly cluster: string
  readonly target: string
  readonly timeline: number
  /** The last commit that is brought back; absent when there is none after the backup began. */
  readonly lastKept?: CommitView | undefined
  /** The first ones that are lost, the oldest first. */
  readonly firstLost: readonly CommitView[]
  readonly lost: {
    readonly commits: number
    /** Of them, those that had begun before the target: all that they did is lost. */
    readonly underWay: number
    /** From the last commit that is kept, else the first that is lost, to the newest that is held. */
    readonly ms: number
    readonly newest?: CommitView | undefined
    readonly tables: readonly TableLoss[]
    /** Tables and views that were made since, and still are: they do not exist then. */
    readonly madeSince: readonly string[]
    /** False: some of it is not known row by row, such as the rows of a table that was dropped or emptied. */
    readonly isExact: boolean
  }
  /** What may be the reason for the recovery: each of these is undone by it, the worst first. */
  readonly undone: readonly IncidentView[]
  readonly marks: readonly MarkView[]
  /** Up to where WAL is held, and where some is missing in between: what was done there is not known. */
  readonly heldTo: string
  readonly gaps: readonly { readonly fromLsn: string; readonly toLsn: string }[]
  /** What the server has that is not held yet, in bytes of WAL; absent when it could not be asked, with the reason. */
  readonly notHeldBytes?: number | undefined
  readonly notAsked?: string | undefined
  /** Where it was asked for. */
  readonly samples?: readonly TableSample[] | undefined
  readonly recovery: Pick<RestorePlan, 'backup' | 'wal' | 'files' | 'predicted' | 'warnings'>
}

/**
 * Says what a recovery to a moment would bring back and lose, out of the WAL that is held. Changes nothing.
 *
 * ```ts
 * const { lost, undone } = await preview(retake, { at: 'before-xid:812' }).result
 * console.log(lost.commits, lost.tables, undone[0]?.what)
 * ```
 * @throws RetakeError by its `result`: as `planRestore`; `wal.damaged`, `aborted`
 */
export function preview(retake: Retake, options: PreviewOptions): Operation<PreviewReport> {
  return startOperation((context) => look(retake, { ...options, ...context }), options)
}

async function look(retake: Retake, options: PreviewOptions & OperationContext): Promise<PreviewReport> {
  const { at, timeline, backupId, signal, onProgress } = options
  // Nothing is made there.
  const to = path.join(tmpdir(), 'retake-preview')
  const plan = await planRestore(retake, { at, to, timeline, backupId, signal })
  const cluster = await retake.cluster()
  const { backups } = await listClusterBackups(cluster)
  const held = await readHeldArchive(cluster)
  const log = openWalLog(cluster, { held, path: plan.target.path.map(readStep), signal })
  const recordLsn = parseLsn(plan.stop.recordLsn)
  const ranges = log.coverage.ranges.filter(({ endLsn }) => endLsn > recordLsn)
  const tally = new LossTally({ recordLsn, isApplied: plan.stop.applied })
  const marks = await readSince(log, ranges, { recordLsn, tally, onProgress })
  const { candidates } = tally
  const found = candidates.transactions()
  const files = [
    ...tally.files().map(({ file }) => file),
    ...found.flatMap((one) => [...one.files.map(({ file }) => file), ...one.droppedFiles]),
  ]
  const names = await readNames(files, { cluster, backups: [...backups].reverse(), transactions: found, signal })
  const { habits } = candidates
  const { backup, wal, files: planFiles, predicted, warnings, stop } = plan
  const lastKept =
    stop.lastTransaction && viewCommit({ ...stop.lastTransaction, lsn: parseLsn(stop.lastTransaction.lsn) })
  const firstLost = tally.firstLost.map((one) => viewCommit({ ...one, at: formatInstant(one.at) }))
  const newest = tally.lastLost && viewCommit({ ...tally.lastLost, at: formatInstant(tally.lastLost.at) })
  const since = lastKept?.at ?? firstLost[0]?.at
  const heldTo = ranges.at(-1)?.endLsn ?? recordLsn
  const undone = worstFirst(found.flatMap((one) => incidentsOf(one, { ...names, habits })))
  const tables = tablesOf(tally, names)
  const isRemoved = undone.some(({ kind }) => kind === 'drop' || kind === 'truncate' || kind === 'drop-database')
  return {
    cluster: cluster.facts.name,
    target: plan.target.asked,
    timeline: plan.target.timeline,
    ...(lastKept ? { lastKept } : {}),
    firstLost,
    lost: {
      commits: tally.commits,
      underWay: tally.underWay,
      ms: newest && since ? Math.max(0, Date.parse(newest.at) - Date.parse(since)) : 0,
      ...(newest ? { newest } : {}),
      tables,
      madeSince: names.made.flatMap((one) => (one.kind === 'table' || one.kind === 'view' ? (called(one) ?? []) : [])),
      isExact: tally.isExact && !isRemoved && ranges.length < 2,
    },
    undone: undone.map(viewIncident),
    marks,
    heldTo: formatLsn(heldTo),
    gaps: gapsBetween(ranges),
    ...(await askServer(retake, { heldTo, timeline: plan.target.timeline, signal })),
    ...(options.sample === undefined ? {} : { samples: await takeSamples(retake, { options, names, undone, tally }) }),
    recovery: { backup, wal, files: planFiles, predicted, warnings },
  }
}

interface SinceOptions extends Pick<OperationContext, 'onProgress'> {
  readonly recordLsn: Lsn
  readonly tally: LossTally
}

/** What was done since, into the tally. @returns the marks */
async function readSince(
  log: WalLog,
  ranges: readonly LsnRange[],
  { recordLsn, tally, onProgress }: SinceOptions,
): Promise<MarkView[]> {
  // Read from before the target, so that what was under way is known; where a journal is stored, that costs nothing.
  const lookBack = SEGMENTS_OF_CHUNK * BigInt(log.segmentSizeBytes)
  const marks: MarkView[] = []
  for (const range of ranges) {
    await readJournal(
      log,
      { beginLsn: later(range.beginLsn, (recordLsn - lookBack) as Lsn), endLsn: range.endLsn },
      {
        onTransaction: (one) => tally.add(one),
        onMark: (mark) => {
          if (mark.lsn > recordLsn) marks.push(viewMark(mark))
        },
        onProgress: (lsn) => onProgress({ phase: 'read', done: Number(lsn - range.beginLsn), unit: 'bytes' }),
      },
    )
  }
  return marks
}

const TABLES_OF_SAMPLE = 5

interface Losses {
  readonly options: PreviewOptions & OperationContext
  readonly names: RelationNames
  readonly undone: readonly Incident[]
  readonly tally: LossTally
}

/** Those that lose all come first; what was made since was not there. */
async function takeSamples(retake: Retake, { options, names, undone, tally }: Losses): Promise<TableSample[]> {
  const worst = undone.filter(({ severity }) => severity !== 'info').flatMap(({ tables }) => tables)
  const all = [...worst.map(({ name }) => name), ...tally.files().map(({ file }) => names.nameOf(file))]
  const database = databaseOf(retake, {})
  const made = new Set(names.made.map(sqlName))
  const own = all
    .filter((one) => one.kind === 'table' && one.database === database)
    .flatMap((one) => sqlName(one) ?? [])
  const most = [...new Set(own)].filter((one) => !made.has(one)).slice(0, TABLES_OF_SAMPLE)
  const { sample = true } = options
  const tables = sample === true ? most : sample
  return tables.length === 0 ? [] : await sampleTables(retake, { ...options, tables })
}

const sqlName = ({ schema, table }: TableName): string | undefined =>
  schema === undefined || table === undefined ? undefined : formatTable({ schema, table })

const called = ({ schema, table }: TableName): string | undefined =>
  table === undefined ? undefined : `${schema ?? ''}.${table}`

const later = (left: Lsn, right: Lsn): Lsn => (left > right ? left : right)

function readStep({ timeline, beginLsn, endLsn }: RestorePlan['target']['path'][number]): PathStep {
  return { timeline, beginLsn: parseLsn(beginLsn), ...(endLsn === undefined ? {} : { endLsn: parseLsn(endLsn) }) }
}

function viewCommit({ xid, at, lsn }: Omit<LostCommit, 'at'> & { readonly at: string }): CommitView {
  return { xid, at, lsn: formatLsn(lsn), target: `lsn:${formatLsn(lsn)}` }
}

function gapsBetween(ranges: WalLog['coverage']['ranges']): PreviewReport['gaps'] {
  return ranges
    .slice(1)
    .map(({ beginLsn }, at) => ({ fromLsn: formatLsn(ranges[at]?.endLsn ?? beginLsn), toLsn: formatLsn(beginLsn) }))
}

/** A table that was written anew has had several files: they are one table. The worst first. */
function tablesOf(tally: LossTally, { nameOf }: RelationNames): TableLoss[] {
  const tables = new Map<string, { -readonly [Key in keyof TableLoss]: TableLoss[Key] }>()
  for (const { file, inserted, updated, deleted } of tally.files()) {
    const name = nameOf(file)
    if (name.kind !== 'table' && name.kind !== 'unknown') continue
    const text = called(name)
    const key = text === undefined ? `${file.database}/${file.relfilenode}` : `${file.database} ${text}`
    const loss = tables.get(key) ?? { inserted: 0, updated: 0, deleted: 0 }
    tables.set(key, loss)
    if (text !== undefined) loss.name = text
    if (name.database !== undefined) loss.database = name.database
    loss.inserted += inserted
    loss.updated += updated
    loss.deleted += deleted
  }
  const rows = ({ inserted, updated, deleted }: TableLoss) => inserted + updated + deleted
  return [...tables.values()].sort((left, right) => rows(right) - rows(left))
}

async function askServer(
  retake: Retake,
  { heldTo, timeline, signal }: { readonly heldTo: Lsn; readonly timeline: number; readonly signal: AbortSignal },
): Promise<Pick<PreviewReport, 'notHeldBytes' | 'notAsked'>> {
  if (retake.config.databaseUrl === undefined) return { notAsked: 'no server is configured' }
  try {
    await using sql = await openSql(retake.target(), { signal })
    const server = await queryServerView(sql)
    if (server.timeline === undefined) return { notAsked: 'the server that is configured is a standby' }
    if (server.timeline !== timeline) return { notAsked: `the server is on timeline ${server.timeline}` }
    return { notHeldBytes: Math.max(0, Number(parseLsn(server.flushLsn) - heldTo)) }
  } catch (error) {
    if (!isRetakeError(error) || error.code === 'aborted') throw error
    return { notAsked: error.message }
  }
}
