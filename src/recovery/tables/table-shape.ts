/** What a table looks like in a recovered server, as far as its rows need it in another place. */
import type { CopySession } from '../../postgres/replication/copy-session.ts'
import type { FoundTable } from './check-files.ts'
import { quoteName, quoteTable } from './table-name.ts'

export interface ColumnShape {
  readonly name: string
  /** As SQL writes it, with its schema. */
  readonly type: string
  /** With its schema; undefined when it is that of the type. */
  readonly collation: string | undefined
  readonly notNull: boolean
  /** Computed from others: nobody may write it. */
  readonly isGenerated: boolean
}

export interface TableShape {
  readonly columns: readonly ColumnShape[]
  /** Column names in the order of the key; undefined: the table has none. */
  readonly primaryKey: readonly string[] | undefined
}

const COLUMNS = (oid: number) => `
select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull::int as "notNull", a.attgenerated <> '' as generated,
  case when a.attcollation <> t.typcollation then pg_catalog.format('%I.%I', n.nspname, c.collname) end as collation
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_collation c on c.oid = a.attcollation left join pg_catalog.pg_namespace n on n.oid = c.collnamespace
where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped order by a.attnum`

const PRIMARY_KEY = (oid: number) => `
select a.attname as name from pg_catalog.pg_index i, unnest(i.indkey) with ordinality as k (attnum, place)
join pg_catalog.pg_attribute a on a.attrelid = ${oid} and a.attnum = k.attnum
where i.indrelid = ${oid} and i.indisprimary and k.place <= i.indnkeyatts order by k.place`

/** In a session whose `search_path` is `pg_catalog`, so that every type is named with its schema. */
export async function readShape(session: CopySession, { oid }: Pick<FoundTable, 'oid'>): Promise<TableShape> {
  const columns = await session.query(COLUMNS(oid))
  const key = await session.query(PRIMARY_KEY(oid))
  return {
    columns: columns.map((row) => ({
      name: row.name ?? '',
      type: row.type ?? '',
      collation: row.collation ?? undefined,
      notNull: row.notNull === '1',
      isGenerated: row.generated === 't',
    })),
    primaryKey: key.length === 0 ? undefined : key.map(({ name }) => name ?? ''),
  }
}

export const columnList = (columns: readonly Pick<ColumnShape, 'name'>[]): string =>
  columns.map(({ name }) => quoteName(name)).join(', ')

/**
 * The rows of a table, of a partitioned one those of its partitions. What inherits from it in the old way is another table.
 * @param where as after WHERE in SQL
 */
export function selectRows(
  table: FoundTable,
  options: { readonly columns: readonly Pick<ColumnShape, 'name'>[]; readonly where?: string | undefined },
): string {
  const { columns, where } = options
  const condition = where === undefined ? '' : ` where (${where}\n)`
  return `select ${columnList(columns)} from ${table.kind === 'p' ? '' : 'only '}${quoteTable(table)}${condition}`
}
