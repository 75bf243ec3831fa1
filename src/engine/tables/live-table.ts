/** What a merge must know of the table that is there now. */
import { RetakeError } from '../../base/errors.ts'
import type { CopySession, TextRow } from '../../postgres/replication/copy-session.ts'
import { formatTable, quoteTable, type TableName } from '../../recovery/tables/table-name.ts'
import { readShape, type TableShape } from '../../recovery/tables/table-shape.ts'
import { literal } from './deliver-beside.ts'
import type { ForeignKey } from './merge-sql.ts'

export interface LiveTable {
  readonly oid: number
  readonly shape: TableShape
  readonly foreignKeys: readonly ForeignKey[]
  /** Columns of each unique index but the primary key, where it is one on all rows and on columns alone. */
  readonly uniques: readonly (readonly string[])[]
  /** Triggers of users that fire when a row is written, with the word that enables them again. */
  readonly triggers: readonly { readonly name: string; readonly enable: string }[]
}

/** @throws RetakeError `target.missing` when it is not there any more, `restore.refused` when rows would be hidden or rewritten */
export async function readLiveTable(to: CopySession, table: TableName): Promise<LiveTable> {
  const name = literal(quoteTable(table))
  const [facts] = await to.query(`
    select c.oid::int8::text as oid, c.relkind::text as kind, pg_catalog.row_security_active(c.oid) as hidden,
      exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.ev_type in ('2', '3')) as rules
    from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass(${name})`)
  if (!facts) {
    throw new RetakeError('target.missing', `There is no table ${formatTable(table)} any more to merge into.`, {
      hint: 'Bring it back under a new name, without --merge, and rename it.',
    })
  }
  if (facts.kind !== 'r' && facts.kind !== 'p') throw refused(table, 'it is not a table')
  if (facts.hidden === 't') throw refused(table, 'row security hides rows of it from the role that is configured')
  if (facts.rules === 't') throw refused(table, 'it has rules that rewrite what is written')
  const oid = Number(facts.oid)
  return {
    oid,
    shape: await readShape(to, { oid }),
    foreignKeys: (await to.query(FOREIGN_KEYS(oid))).map(foreignKey),
    uniques: (await to.query(UNIQUES(oid))).map(({ columns }) => list(columns)),
    triggers: (await to.query(TRIGGERS(oid))).map(({ name: trigger, enabled }) => ({
      name: trigger ?? '',
      enable: enabled === 'A' ? 'enable always' : 'enable',
    })),
  }
}

export function refused(table: TableName, reason: string): RetakeError {
  return new RetakeError('restore.refused', `Rows cannot be merged into ${formatTable(table)}: ${reason}.`, {
    hint: 'Bring it back under a new name, without --merge, and copy by hand what is wanted.',
  })
}

const names = (oid: string, numbers: string) => `(select pg_catalog.json_agg(a.attname order by k.place)
  from unnest(${numbers}) with ordinality as k (number, place) join pg_catalog.pg_attribute a on a.attrelid = ${oid} and a.attnum = k.number)`

const FOREIGN_KEYS = (oid: number) => `
select c.conname as name, n.nspname as schema, r.relname as table, ${names('c.conrelid', 'c.conkey')} as columns, ${names('c.confrelid', 'c.confkey')} as refers
from pg_catalog.pg_constraint c join pg_catalog.pg_class r on r.oid = c.confrelid join pg_catalog.pg_namespace n on n.oid = r.relnamespace
where c.conrelid = ${oid} and c.contype = 'f' and c.convalidated order by 1`

const UNIQUES = (oid: number) => `
select ${names('i.indrelid', 'i.indkey[0:i.indnkeyatts - 1]')} as columns from pg_catalog.pg_index i
where i.indrelid = ${oid} and i.indisunique and not i.indisprimary and i.indpred is null and i.indexprs is null order by i.indexrelid`

const TRIGGERS = (oid: number) => `
select tgname as name, tgenabled::text as enabled from pg_catalog.pg_trigger
where tgrelid = ${oid} and not tgisinternal and tgenabled in ('O', 'A') order by 1`

function foreignKey({ name, schema, table, columns, refers }: TextRow): ForeignKey {
  return {
    name: name ?? '',
    table: { schema: schema ?? '', table: table ?? '' },
    columns: list(columns),
    refers: list(refers),
  }
}

const list = (json: string | null | undefined): string[] => JSON.parse(json ?? '[]') as string[]
