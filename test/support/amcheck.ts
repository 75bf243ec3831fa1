/** Asks PostgreSQL itself whether heaps and indexes are sound. https://www.postgresql.org/docs/current/amcheck.html */
import type { Queryable } from '../../src/demo/content-digest.ts'

export interface AmcheckResult {
  readonly heapsChecked: number
  readonly indexesChecked: number
  readonly findings: readonly string[]
}

/** Checks every heap (catalogs and TOAST included) and every B-tree (with heapallindexed; from 18 also GIN) of the connected database. */
export async function amcheck(sql: Queryable): Promise<AmcheckResult> {
  await sql.query('create extension if not exists amcheck with schema pg_catalog')
  const findings: string[] = []
  const heaps = await sql.query<{ oid: number; name: string }>(
    `select c.oid::int8::int as oid, c.oid::regclass::text as name from pg_class c
     where relkind in ('r', 'm', 't') and relpersistence = 'p' order by 1`,
  )
  for (const { oid, name } of heaps) {
    for (const row of await sql.query<{ blkno: string; msg: string }>(
      'select * from verify_heapam($1::oid::regclass)',
      [oid],
    )) {
      findings.push(`${name}, block ${row.blkno}: ${row.msg}`)
    }
  }
  const [version] = await sql.query<{ num: number }>(`select current_setting('server_version_num')::int as num`)
  const indexes = await sql.query<{ oid: number; name: string; method: string }>(
    `select c.oid::int8::int as oid, c.oid::regclass::text as name, amname as method
     from pg_class c join pg_am a on a.oid = c.relam join pg_index i on i.indexrelid = c.oid
     where relkind = 'i' and relpersistence = 'p' and indisvalid and indisready
       and (amname = 'btree' or amname = 'gin' and $1 >= 180000) order by 1`,
    [version?.num],
  )
  for (const { oid, name, method } of indexes) {
    const check = method === 'gin' ? 'gin_index_check($1::oid::regclass)' : 'bt_index_check($1::oid::regclass, true)'
    try {
      await sql.query(`select ${check}`, [oid])
    } catch (error) {
      findings.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { heapsChecked: heaps.length, indexesChecked: indexes.length, findings }
}
