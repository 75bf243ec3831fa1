/**
 * The proof that the tables are whole: when replay has ended, the catalogs are exact, and they name every file that the tables have. None of
 * those may be one that was left out. What the replay has made of other tables then goes: whoever reads one gets an error, never an empty table.
 */
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { placeKey, type RelationPlace, relationPlace } from '../../postgres/relation-path.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { readEntries } from '../../repository/manifest-store.ts'
import { EntryPaths } from '../entry-paths.ts'
import type { PlanPlace } from '../plan-types.ts'
import type { TableSelection } from './select-tables.ts'
import type { TableName } from './table-name.ts'
import { namesIn } from './temporary-server.ts'

/** A table as it is at the target. */
export interface FoundTable extends TableName {
  readonly oid: number
  /** `r` table, `p` partitioned, `m` materialised view. */
  readonly kind: string
  /** Unlogged: it is empty after every recovery. */
  readonly isUnlogged: boolean
}

const FIND = `
select c.oid::int8::text as oid, c.relkind::text as kind, c.relpersistence = 'u' as unlogged
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'm')`

/** Undefined for a table that is not there at the target. */
export async function findTable(sql: SqlConnection, table: TableName): Promise<FoundTable | undefined> {
  const [row] = await sql.query<{ oid: string; kind: string; unlogged: boolean }>(FIND, [table.schema, table.table])
  return row && { ...table, oid: Number(row.oid), kind: row.kind, isUnlogged: row.unlogged }
}

/** Heap, partitions, TOAST tables, their indexes, and the sequences that fill columns: everything that has a file. */
const FILES = `
with recursive part (oid) as (
  select unnest($1::int8[])::oid
  union
  select next.oid from part, lateral (
    select inhrelid from pg_catalog.pg_inherits where inhparent = part.oid
    union all select indexrelid from pg_catalog.pg_index where indrelid = part.oid
    union all select reltoastrelid from pg_catalog.pg_class where pg_class.oid = part.oid and reltoastrelid <> 0
    union all select objid from pg_catalog.pg_depend where classid = 'pg_catalog.pg_class'::regclass
      and refclassid = 'pg_catalog.pg_class'::regclass and refobjid = part.oid and deptype in ('a', 'i')
  ) as next (oid)
)
select pg_catalog.pg_relation_filepath(oid) as path from part where pg_catalog.pg_relation_filepath(oid) is not null`

/** Files of the tables, as the server names them: `base/5/16384`. */
export async function filesOfTables(sql: SqlConnection, tables: readonly FoundTable[]): Promise<string[]> {
  const rows = await sql.query<{ path: string }>(FILES, [tables.map(({ oid }) => oid)])
  return rows.map((row) => row.path)
}

/** What a selection leaves out of a backup. */
export interface LeftOut {
  /** By `placeKey`. */
  readonly places: ReadonlyMap<string, RelationPlace>
  /** Where their files would lie, as a manifest names it: `base/5`. */
  readonly directories: ReadonlySet<string>
}

export async function leftOutOf(cluster: ClusterRepository, selection: TableSelection): Promise<LeftOut> {
  const places = new Map<string, RelationPlace>()
  const directories = new Set<string>()
  for await (const entry of readEntries(cluster, selection.backupId)) {
    if (entry.type !== 'file' || !selection.leavesOut(entry.path)) continue
    const place = relationPlace(entry.path)
    if (!place) continue
    places.set(placeKey(place), place)
    directories.add(path.posix.dirname(entry.path))
  }
  return { places, directories }
}

/** The places among the wanted files that were left out: with them laid out, the same recovery is exact. */
export function missedPlaces(files: readonly string[], { places }: LeftOut): string[] {
  return files.flatMap((file) => {
    const place = relationPlace(file)
    return place && places.has(placeKey(place)) ? [placeKey(place)] : []
  })
}

/** A replay makes the file of a table that was cut short, and nothing in it: it must not be taken for an empty table. */
export async function removeLeftOut(place: PlanPlace, { places, directories }: LeftOut): Promise<void> {
  const paths = new EntryPaths(place)
  for (const directory of directories) {
    // There is none of a database that was dropped.
    for (const name of await namesIn(paths.locate(directory))) {
      const file = `${directory}/${name}`
      const own = relationPlace(file)
      if (own && places.has(placeKey(own))) await rm(paths.locate(file), { force: true })
    }
  }
}
