/** Of the tables in a throw-away server only the rows that one transaction has deleted: where they lay says the log. */
import { RetakeError } from '../../base/errors.ts'
import { buildTimelinePath } from '../../catalog/timeline-path.ts'
import { type DeletedRows, readDeletedRows } from '../../journal/deleted-rows.ts'
import { fileKey } from '../../journal/file-key.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { relationPlace } from '../../postgres/relation-path.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import { readHeldArchive } from '../../recovery/held-archive.ts'
import type { RecoveredTables } from '../../recovery/tables/recover-tables.ts'
import { formatTable } from '../../recovery/tables/table-name.ts'
import { parseTarget, type RecoveryTarget } from '../../recovery/targets.ts'
import { openWalLog } from '../../recovery/wal-log.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'

/** @throws RetakeError `config.invalid` when the moment is not that before the transaction */
export function assertBefore({
  at,
  deletedBy,
}: {
  readonly at: string | RecoveryTarget
  readonly deletedBy?: number | undefined
}): void {
  if (deletedBy === undefined) return
  const target = typeof at === 'string' ? parseTarget(at) : at
  if (target.kind === 'xid' && target.xid === deletedBy && !target.inclusive) return
  throw new RetakeError('config.invalid', `What transaction ${deletedBy} deleted is taken from the moment before it.`, {
    hint: `The target of that is before-xid:${deletedBy}.`,
  })
}

export interface ChosenRows {
  /** As after WHERE in SQL. */
  readonly where: string | undefined
  readonly warnings: readonly string[]
}

/** In the throw-away server alone. */
const PLACES = 'retake_deleted.places'

/**
 * Without `deletedBy`, all that `where` lets through.
 * @throws RetakeError `target.missing` when the transaction has deleted nothing of these tables; what {@link readDeletedRows} throws
 */
export async function chooseRows(
  recovered: RecoveredTables,
  options: {
    readonly cluster: ClusterRepository
    readonly deletedBy: number | undefined
    readonly where: string | undefined
    readonly signal: AbortSignal
  },
): Promise<ChosenRows> {
  const { cluster, deletedBy, where, signal } = options
  if (deletedBy === undefined) return { where, warnings: [] }
  const { plan } = recovered
  const held = await readHeldArchive(cluster)
  const log = openWalLog(cluster, { held, path: buildTimelinePath(held.histories, plan.target.timeline), signal })
  const range = { beginLsn: parseLsn(plan.wal.beginLsn), endLsn: parseLsn(plan.stop.endLsn) }
  const deleted = await readDeletedRows(log, range, deletedBy)
  await using session = await CopySession.open(recovered.target, { signal })
  const count = await notePlaces(session, { recovered, deleted })
  if (count === 0) {
    const names = recovered.tables.map(formatTable).join(', ')
    throw new RetakeError('target.missing', `Transaction ${deletedBy} has deleted no row of ${names}.`, {
      hint: `See what it did: retake find. What was there before it: --at before-xid:${deletedBy}`,
    })
  }
  const isDeleted = `(tableoid, ctid) in (select relation, place from ${PLACES})`
  return {
    where: where === undefined ? isDeleted : `(${where}\n) and ${isDeleted}`,
    warnings:
      deleted.moved > 0
        ? [
            `The transaction has moved ${deleted.moved} rows to other partitions; one that it deleted there is not among these. All that was there before: --at before-xid:${deletedBy}`,
          ]
        : [],
  }
}

interface Placing {
  readonly recovered: RecoveredTables
  readonly deleted: DeletedRows
}

/** @returns how many rows of these tables */
async function notePlaces(session: CopySession, placing: Placing): Promise<number> {
  await session.query(`create schema retake_deleted; create unlogged table ${PLACES} (relation oid, place tid)`)
  const files = await filesOf(session, placing.recovered)
  return await session.copyIn(`copy ${PLACES} from stdin`, placeLines(files, placing.deleted))
}

/** The heap of each table, of a partitioned one those of its partitions, by their files. */
async function filesOf(session: CopySession, { tables }: RecoveredTables): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const { oid } of tables) {
    const rows = await session.query(`
      select c.oid::int8::text as oid, pg_catalog.pg_relation_filepath(c.oid) as path
      from pg_catalog.pg_class c
      where c.oid = ${oid} or c.oid in (select relid from pg_catalog.pg_partition_tree(${oid}))`)
    for (const { oid: relation, path } of rows) {
      const place = path ? relationPlace(path) : undefined
      if (relation && place) files.set(fileKey({ ...place, relfilenode: place.fileNumber }), relation)
    }
  }
  return files
}

const LINES_OF_PIECE = 4096

async function* placeLines(files: ReadonlyMap<string, string>, deleted: DeletedRows): AsyncGenerator<Uint8Array> {
  for (const [key, relation] of files) {
    const places = deleted.files.get(key) ?? []
    for (let first = 0; first < places.length; first += LINES_OF_PIECE) {
      const lines = places
        .slice(first, first + LINES_OF_PIECE)
        .map(({ block, offset }) => `${relation}\t(${block},${offset})\n`)
      yield Buffer.from(lines.join(''))
    }
  }
}
