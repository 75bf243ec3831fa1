/**
 * Looks through what the log has gained since the last time, for what is worth waking somebody: mass deletions, and tables and databases
 * that are gone. What was open, what tables are used to and what was found go from one look to the next in a bookmark.
 */

import { throwIfAborted } from '../base/abort.ts'
import { formatInstant } from '../base/instant.ts'
import { stepAt, type TimelinePath, targetTimeline } from '../catalog/timeline-path.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { HeldArchive } from '../recovery/held-archive.ts'
import { choosePath } from '../recovery/plan.ts'
import { openWalLog, type WalLog } from '../recovery/wal-log.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { SEGMENTS_OF_CHUNK } from '../repository/journal-chunks.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { JournalTransaction } from './block.ts'
import { type Bookmark, borderOf, keepHabits, placeOf, type RememberedIncident } from './bookmark.ts'
import { Candidates } from './candidates.ts'
import { incidentsOf, LEAST_ROWS } from './find-incidents.ts'
import { HabitCounter, isUnusual } from './habits.ts'
import type { Incident, TableName } from './incident.ts'
import { readNames } from './names.ts'
import { readJournal } from './read.ts'
import type { Border } from './scan.ts'

export interface WatchOptions {
  readonly held: HeldArchive
  /** Oldest first. */
  readonly backups: readonly BackupSummary[]
  /** Undefined: nothing was looked through before, and the watch begins at the end of what is held. */
  readonly earlier: Bookmark | undefined
  readonly now: Date
  /** Asked after every piece; the rest is for the next time. Default: all of it. */
  readonly mayGoOn?: (() => boolean) | undefined
  /** For so long at most, ms, the log may wait for its segment to gain more than would be read twice. Default 0. */
  readonly patienceMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Watched {
  readonly bookmark: Bookmark
  /** Held, and not looked through yet. */
  readonly behindBytes: number
  /** It waits because it is little, and new. */
  readonly isPatient: boolean
}

/** Those who look at a table's file after it has a new one find its name in the backup before. */
const BACKUPS_WITH_NAMES = 2
const PIECE_BYTES = 64n * 1024n * 1024n
const MAX_REMEMBERED = 50
/** By then the moment before it has left the window, or somebody has made their peace with it. */
const REMEMBERED_MS = 7 * 86_400_000

/**
 * @returns undefined when no WAL is held
 * @throws RetakeError `wal.damaged`, `wal.gap`, `wal.history-missing`, `repo.damaged`, `aborted`
 */
export async function watchLog(cluster: ClusterRepository, options: WatchOptions): Promise<Watched | undefined> {
  const { held, backups, earlier, now, signal } = options
  const path = choosePath({ held, backups, timeline: undefined })
  const log = openWalLog(cluster, { held, path, signal })
  const heldEnd = log.coverage.ranges.at(-1)?.endLsn
  if (heldEnd === undefined) return undefined
  const habits = new HabitCounter(new Map(Object.entries(earlier?.habits ?? {})))
  const candidates = new Candidates(habits)
  const begin: Place = (earlier && placeOnPath(earlier, path)) ?? { lsn: heldEnd, border: undefined }
  if (earlier && isPatient(log, begin.lsn, options)) {
    return { bookmark: earlier, behindBytes: bytesBehind(log, begin.lsn), isPatient: true }
  }
  const end = await readPieces(log, begin, { ...options, onTransaction: (one) => candidates.add(one) })
  const grave = candidates.transactions().filter((one) => mayBeGrave(one, candidates))
  const found = await nameIncidents(grave, { cluster, candidates, backups, signal })
  const seenAt = now.toISOString()
  const news = found.filter((one) => !isHabit(one, habits)).map((one) => remembered(one, seenAt))
  const known = (earlier?.incidents ?? []).filter((one) => isStillTrue(one, { earlier, path, now }))
  return {
    behindBytes: bytesBehind(log, end.lsn),
    isPatient: false,
    bookmark: {
      readAt: seenAt,
      timeline: stepAt(path, end.lsn)?.timeline ?? targetTimeline(path),
      ...(end.border ? placeOf(end.border) : { lsn: formatLsn(end.lsn), resumeLsn: formatLsn(end.lsn) }),
      ...keepHabits(habits.habits(), { since: earlier?.habitsSince ?? seenAt, now }),
      incidents: [...known, ...news].slice(-MAX_REMEMBERED),
    },
  }
}

interface Place {
  readonly lsn: Lsn
  readonly border: Border | undefined
}

/** Undefined: the look before was at another past. */
function placeOnPath(earlier: Bookmark, path: TimelinePath): Place | undefined {
  const step = path.find(({ timeline }) => timeline === earlier.timeline)
  if (!step) return undefined
  const lsn = parseLsn(earlier.lsn)
  if (step.endLsn !== undefined && lsn > step.endLsn) return { lsn: step.endLsn, border: undefined }
  return { lsn, border: borderOf(earlier) }
}

/**
 * A segment is read from its beginning, so that a look each minute would read the newest one again and again: what is read twice is at
 * most as much as what is new, unless that has waited for long enough.
 */
function isPatient(log: WalLog, lsn: Lsn, { earlier, now, patienceMs = 0 }: WatchOptions): boolean {
  const behindBytes = bytesBehind(log, lsn)
  if (!earlier || behindBytes === 0 || parseLsn(earlier.lsn) !== lsn) return false
  if (now.getTime() - Date.parse(earlier.readAt) >= patienceMs) return false
  return Number(lsn % BigInt(log.segmentSizeBytes)) > behindBytes
}

type PieceOptions = Pick<WatchOptions, 'mayGoOn' | 'signal'> & {
  readonly onTransaction: (transaction: JournalTransaction) => void
}

async function readPieces(log: WalLog, begin: Place, options: PieceOptions): Promise<Place> {
  const { onTransaction, mayGoOn = () => true, signal } = options
  let { lsn, border } = begin
  for (const range of log.coverage.ranges) {
    // Behind a hole nothing is known of what was open.
    if (lsn < range.beginLsn) [lsn, border] = [range.beginLsn, undefined]
    while (lsn < range.endLsn && (lsn === begin.lsn || mayGoOn())) {
      throwIfAborted(signal)
      const endLsn = earlierOf(endOfPiece(lsn, log), range.endLsn)
      const read = await readJournal(log, { beginLsn: lsn, endLsn }, { border, onTransaction })
      border = await read.border()
      lsn = endLsn
    }
    if (lsn < range.endLsn) break
  }
  return { lsn, border }
}

/** Not beyond the end of a chunk, so that one that is stored is not read twice. */
function endOfPiece(lsn: Lsn, { segmentSizeBytes }: WalLog): Lsn {
  const chunkBytes = SEGMENTS_OF_CHUNK * BigInt(segmentSizeBytes)
  return earlierOf((lsn - (lsn % chunkBytes) + chunkBytes) as Lsn, (lsn - (lsn % PIECE_BYTES) + PIECE_BYTES) as Lsn)
}

function bytesBehind({ coverage }: WalLog, lsn: Lsn): number {
  return coverage.ranges.reduce((sum, { beginLsn, endLsn }) => {
    const from = beginLsn > lsn ? beginLsn : lsn
    return sum + (endLsn > from ? Number(endLsn - from) : 0)
  }, 0)
}

/** Names are asked for only where it matters, because they are read in a backup. */
function mayBeGrave({ files, droppedFiles, wholeFiles }: JournalTransaction, { habits }: Candidates): boolean {
  if (droppedFiles.length > 0 || wholeFiles.some(({ type }) => type === 'database-drop')) return true
  return files.some(({ file, deleted, movedAway }) => {
    const rows = deleted - movedAway
    return rows >= LEAST_ROWS && isUnusual(habits, { file, what: 'deleted', rows })
  })
}

/** The oldest first. */
async function nameIncidents(
  transactions: readonly JournalTransaction[],
  options: {
    readonly cluster: ClusterRepository
    readonly candidates: Candidates
    readonly backups: readonly BackupSummary[]
    readonly signal: AbortSignal | undefined
  },
): Promise<Incident[]> {
  if (transactions.length === 0) return []
  const { cluster, candidates, signal } = options
  const files = transactions.flatMap((one) => [...one.files.map(({ file }) => file), ...one.droppedFiles])
  const backups = options.backups.slice(-BACKUPS_WITH_NAMES).reverse()
  const { nameOf, databaseName } = await readNames(files, {
    cluster,
    backups,
    transactions: candidates.transactions(),
    signal,
  })
  const { habits } = candidates
  const incidents = transactions.flatMap((one) => incidentsOf(one, { nameOf, databaseName, habits }))
  return incidents
    .filter(({ severity }) => severity === 'critical')
    .sort((left, right) => (left.lsn < right.lsn ? -1 : 1))
}

function isHabit({ kind, tables }: Incident, habits: HabitCounter): boolean {
  if (kind !== 'truncate' && kind !== 'drop') return false
  // All of them are counted, also when the first is none.
  const each = tables.map(({ name }) => habits.again(`${name.database ?? ''}.${fullName(name)}/${kind}`))
  return each.every((one) => one)
}

function remembered({ kind, what, tables, at, lsn, before }: Incident, seenAt: string): RememberedIncident {
  const database = tables[0]?.name.database
  const names = tables.map(({ name }) => fullName(name))
  return {
    ...{ kind, what, before, seenAt },
    target: names[0] ?? what,
    lsn: formatLsn(lsn),
    tables: names,
    ...(database === undefined ? {} : { database }),
    ...(at === undefined ? {} : { at: formatInstant(at) }),
  }
}

const fullName = ({ schema, table }: TableName): string =>
  [schema, table].filter((part) => part !== undefined).join('.')

/** It is not too long ago, and no recovery has undone it. */
function isStillTrue(
  { seenAt, lsn }: RememberedIncident,
  facts: { readonly earlier: Bookmark | undefined; readonly path: TimelinePath; readonly now: Date },
): boolean {
  if (facts.now.getTime() - Date.parse(seenAt) > REMEMBERED_MS) return false
  const step = facts.path.find(({ timeline }) => timeline === facts.earlier?.timeline)
  return step?.endLsn === undefined || parseLsn(lsn) <= step.endLsn
}

const earlierOf = (left: Lsn, right: Lsn): Lsn => (left < right ? left : right)
