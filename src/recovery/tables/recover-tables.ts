/**
 * Single tables as they were at a moment, out of a physical backup: the catalogs and the files of these tables are laid out, every other
 * relation is left out, and a throw-away server replays WAL to the target, without what it says about those. The choice of files rests on
 * catalogs that were copied while the server worked, so it is proven at the end, and made again where it was wrong.
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { Logger, ProgressListener } from '../../base/progress.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { formatLsn, parseLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { applyRestore } from '../apply.ts'
import type { FeederSource } from '../feeder.ts'
import { planRestore } from '../plan.ts'
import type { RestorePlan } from '../plan-types.ts'
import type { RestoreReport } from '../report.ts'
import type { RecoveryTarget } from '../targets.ts'
import { majorOf } from '../wal-log.ts'
import {
  type FoundTable,
  filesOfTables,
  findTable,
  type LeftOut,
  leftOutOf,
  missedPlaces,
  removeLeftOut,
} from './check-files.ts'
import { type CopiedDatabase, LeftOutRelations } from './left-out-relations.ts'
import { rewrittenSource } from './rewritten-source.ts'
import { type MoreWanted, selectTables, type TableSelection, type TablesWanted } from './select-tables.ts'
import { formatTable, type TableName } from './table-name.ts'
import {
  isolationSettings,
  makeTemporaryPlace,
  sessionOptions,
  sweepTemporaryPlaces,
  type TemporaryPlace,
} from './temporary-server.ts'

export interface RecoverTablesOptions {
  readonly cluster: ClusterRepository
  readonly target: RecoveryTarget
  /** Where the server's directory is made; it goes with the server. */
  readonly parent: string
  /** Without a table the whole cluster is laid out. */
  readonly wanted: TablesWanted
  readonly timeline?: number | undefined
  readonly backupId?: string | undefined
  readonly binDir?: string | undefined
  /** From then on the server may be removed by whoever comes later, even if this process lives. */
  readonly until?: Date | undefined
  readonly workers?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

/** A server that holds the tables as they were at the target, and nothing else that could be read. It goes when this is disposed. */
export interface RecoveredTables extends AsyncDisposable {
  readonly plan: RestorePlan
  readonly report: RestoreReport
  readonly tables: readonly FoundTable[]
  /** As the superuser, in the wanted database. */
  readonly target: ConnectionTarget
  readonly dataDirectory: string
}

/** A guess, and what a replay has shown to be missing: a way in, the database under its other name, files. More than that is a fault. */
const ATTEMPTS = 4

/**
 * @throws RetakeError what {@link planRestore} and {@link applyRestore} throw; `restore.refused` when the WAL does not allow it (then the
 * whole cluster can still be restored); `target.missing` when a table or the database was not there at the target
 */
export async function recoverTables(options: RecoverTablesOptions): Promise<RecoveredTables> {
  const { clock = systemClock, parent, logger } = options
  for (const directory of await sweepTemporaryPlaces(parent, clock)) {
    logger?.warn('a server that an earlier run had left was removed', { directory })
  }
  let more: MoreWanted = { places: [] }
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(options, more)
    if ('recovered' in outcome) return outcome.recovered
    const { missed } = outcome
    if (attempt === ATTEMPTS) throw neverWhole(options.wanted, missed)
    logger?.info('files that the backup did not name as those of the tables are needed too', { ...missed })
    more = { ...more, ...missed, places: [...more.places, ...missed.places] }
  }
}

type Outcome = { readonly recovered: RecoveredTables } | { readonly missed: MoreWanted }

async function attemptOnce(options: RecoverTablesOptions, more: MoreWanted): Promise<Outcome> {
  const { cluster, parent, until, signal, wanted } = options
  await using undo = new AsyncDisposableStack()
  const place = undo.use(await makeTemporaryPlace(parent, { until }))
  const isWhole = wanted.tables.length === 0
  const selections = new Map<string, TableSelection>()
  const plan = await planRestore({
    ...options,
    targetDirectory: place.dataDirectory,
    settings: isolationSettings(place, { major: majorOf(cluster) }),
    select: async (backup) => {
      const made = await selectTables(cluster, { backup, wanted, more, signal })
      selections.set(backup.backupId, made)
      return isWhole ? undefined : made
    },
  })
  const selection = selections.get(plan.backup.backupId)
  if (!selection) throw new Error('assertion failed: the plan asked for the files of its backup')
  const leftOut = isWhole ? NOTHING_LEFT_OUT : await leftOutOf(cluster, selection)
  const relations = new LeftOutRelations(leftOut.places.values())
  let report: RestoreReport
  try {
    report = await applyRestore({
      ...{ ...options, plan, durable: false },
      ...(isWhole ? {} : { selection, rewriteWal: (source) => rewritten(source, { cluster, relations }) }),
    })
  } catch (error) {
    // Half of such a record cannot be replayed, so the server may have ended at it.
    const missed = mixedPlaces(relations, plan)
    if (missed.length > 0 && isRetakeError(error, 'postgres.server')) return { missed: { places: missed } }
    throw error
  }
  const missed = mixedPlaces(relations, plan)
  if (missed.length > 0) return { missed: { places: missed } }
  const checked = await checkTables({ plan, report, place, selection, leftOut, relations, signal })
  if ('missed' in checked) return checked
  const keep = undo.move()
  return {
    recovered: {
      ...checked,
      plan,
      report,
      dataDirectory: place.dataDirectory,
      [Symbol.asyncDispose]: () => keep.disposeAsync(),
    },
  }
}

const NOTHING_LEFT_OUT: LeftOut = { places: new Map(), directories: new Set() }

function rewritten(
  source: FeederSource,
  { cluster, relations }: { readonly cluster: ClusterRepository; readonly relations: LeftOutRelations },
): FeederSource {
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster.facts
  return rewrittenSource(source, { segmentSizeBytes, isUnwanted: relations.isUnwanted })
}

/** Of what was replayed; a log that is read ahead says more. */
function mixedPlaces({ mixedChanges }: LeftOutRelations, plan: RestorePlan): string[] {
  const endLsn = parseLsn(plan.wal.endLsn)
  return [...new Set(mixedChanges.filter(({ lsn }) => lsn < endLsn).map(({ place }) => place))]
}

interface Recovered {
  readonly plan: RestorePlan
  readonly report: RestoreReport
  readonly place: TemporaryPlace
  readonly selection: TableSelection
  readonly leftOut: LeftOut
  readonly relations: LeftOutRelations
  readonly signal: AbortSignal | undefined
}

/** Replay has ended, so the catalogs are exact. */
async function checkTables(
  recovered: Recovered,
): Promise<Pick<RecoveredTables, 'tables' | 'target'> | { readonly missed: MoreWanted }> {
  const { plan, selection, leftOut, relations, signal } = recovered
  const { wanted } = selection
  const user = await findSuperuser(recovered)
  if (user === undefined) return { missed: { places: [], template: true } }
  const oid = await findDatabase(recovered, user)
  const endLsn = parseLsn(plan.wal.endLsn)
  const copy = relations.copiedDatabases.find((one) => one.oid === oid && one.lsn < endLsn)
  if (copy) throw copiedDatabase(wanted.database, copy)
  const isLeftOut = [...leftOut.places.values()].some(({ database }) => database === oid)
  if (oid !== selection.database && isLeftOut) return { missed: { places: [], database: oid } }
  const target = targetOf(recovered, { user, database: wanted.database })
  await using sql = await openSql(target, { applicationName: 'retake', signal })
  const tables: FoundTable[] = []
  for (const table of wanted.tables) tables.push((await findTable(sql, table)) ?? (await missingTable(sql, table)))
  const places = missedPlaces(await filesOfTables(sql, tables), leftOut)
  if (places.length > 0) return { missed: { places } }
  await removeLeftOut(plan.place, leftOut)
  return { tables, target }
}

/** The database to enter before it is known which the wanted one is. */
const entryOf = ({ hasTemplate, wanted }: TableSelection): string => (hasTemplate ? 'template1' : wanted.database)

/**
 * Nobody asks for a password, but a role must be named that exists; those of the backup may have been renamed since. Undefined: the wanted
 * database cannot be entered by its name, and there is no other.
 */
async function findSuperuser(recovered: Recovered): Promise<string | undefined> {
  const { selection } = recovered
  let failure: unknown
  for (const user of [...new Set([...selection.superusers, 'postgres'])]) {
    try {
      const target = targetOf(recovered, { user, database: entryOf(selection) })
      await using sql = await openSql(target, { signal: recovered.signal })
      const [row] = await sql.query<{ name: string }>(
        'select rolname as name from pg_catalog.pg_roles where rolsuper and rolcanlogin order by oid limit 1',
      )
      if (row) return row.name
    } catch (error) {
      if (!isRetakeError(error) || error.code === 'aborted') throw error
      failure = error
    }
  }
  if (!selection.hasTemplate) return undefined
  throw new RetakeError('postgres.auth', 'The recovered server runs, and no superuser could enter it.', {
    hint: 'Restore the whole cluster instead: retake restore apply --at TARGET --to DIR.',
    cause: failure,
  })
}

async function findDatabase(recovered: Recovered, user: string): Promise<number> {
  const { database } = recovered.selection.wanted
  const target = targetOf(recovered, { user, database: entryOf(recovered.selection) })
  await using sql = await openSql(target, { signal: recovered.signal })
  const rows = await sql.query<{ oid: string; name: string }>(
    'select oid::int8::text as oid, datname as name from pg_catalog.pg_database where datallowconn order by datname',
  )
  const found = rows.find(({ name }) => name === database)
  if (found) return Number(found.oid)
  throw new RetakeError('target.missing', `At the target there is no database "${database}".`, {
    hint: `Name one of these with --database: ${rows.map(({ name }) => name).join(', ')}.`,
  })
}

function targetOf(
  { place, report, plan }: Recovered,
  session: { readonly user: string; readonly database: string },
): ConnectionTarget {
  const port = report.server?.port ?? plan.server.port
  return {
    config: {
      ...session,
      host: place.socketDirectory,
      port,
      ssl: false,
      options: sessionOptions(plan.cluster.major),
    },
    display: `postgres://${session.user}@localhost:${port}/${session.database}`,
  }
}

async function missingTable(sql: SqlConnection, table: TableName): Promise<never> {
  const rows = await sql.query<{ schema: string; table: string }>(
    `select n.nspname as schema, c.relname as table
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm') and (c.relname = $1 or n.nspname = $2) and n.nspname !~ '^pg_'
     order by c.relname = $1 desc, 1, 2 limit 10`,
    [table.table, table.schema],
  )
  throw new RetakeError('target.missing', `At the target there is no table ${formatTable(table)}.`, {
    hint:
      rows.length === 0
        ? 'Name it as schema.table, and its database with --database.'
        : `There are: ${rows.map(formatTable).join(', ')}.`,
  })
}

function copiedDatabase(database: string, copy: CopiedDatabase): RetakeError {
  const lsn = formatLsn(copy.lsn)
  return new RetakeError(
    'restore.refused',
    `The files of database "${database}" were copied after the backup (at ${lsn}: STRATEGY FILE_COPY, or another tablespace), so single tables cannot be taken out of it.`,
    {
      hint: 'Restore the whole cluster (retake restore apply), or take a target and a backup that are later: --backup.',
      details: { lsn },
    },
  )
}

function neverWhole(wanted: TablesWanted, missed: MoreWanted): RetakeError {
  return new RetakeError(
    'restore.mismatch',
    `The files of ${wanted.tables.map(formatTable).join(', ')} were still not all there after ${ATTEMPTS} recoveries; nothing was taken out of them.`,
    {
      hint: 'Restore the whole cluster: retake restore apply --at TARGET --to DIR; and please report this.',
      details: { ...missed },
    },
  )
}
