import { toRetakeError } from '../../base/errors.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { type Check, enumerate, failed, notVerifiable, passed, skipped } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

/** https://www.postgresql.org/docs/current/amcheck.html; a deep drill also looks each row of the table up in the index. */
export const btreeCheck: Check<ProofSubject> = {
  name: 'indexes',
  title: 'B-tree indexes are sound (amcheck)',
  run: async ({ inEach, deep }) => {
    const lacking: string[] = []
    const broken: string[] = []
    let sortsOtherwise = false
    let count = 0
    await inEach(async (sql, database) => {
      if (!(await prepare(sql))) {
        lacking.push(database)
        return
      }
      const found = await checkIndexes(sql, { deep, database })
      count += found.count
      broken.push(...found.broken)
      if (found.broken.length > 0) sortsOtherwise ||= await hasOtherCollation(sql)
    })
    if (broken.length > 0 && sortsOtherwise) {
      return notVerifiable(`This machine sorts text by another version, and these do not fit it: ${enumerate(broken)}.`)
    }
    if (broken.length > 0) return failed(`${broken.length} of ${count} are not: ${enumerate(broken)}.`)
    if (lacking.length > 0 && count === 0) return skipped('The extension amcheck is not on this machine.')
    const how = deep ? 'with every row of their tables looked up' : 'each in itself'
    const but = lacking.length > 0 ? `; not in ${enumerate(lacking)}, for want of the extension amcheck` : ''
    return passed(`${count} indexes, ${how}${but}.`)
  },
}

async function prepare(sql: SqlConnection): Promise<boolean> {
  const [row] = await sql.query<{ available: boolean }>(
    `select exists (select from pg_available_extensions where name = 'amcheck') as available`,
  )
  if (row?.available !== true) return false
  await sql.query('create extension if not exists amcheck')
  return true
}

async function checkIndexes(
  sql: SqlConnection,
  { deep, database }: { readonly deep: boolean; readonly database: string },
): Promise<{ readonly count: number; readonly broken: readonly string[] }> {
  // The extension may have been there, in a schema of its own.
  const [place] = await sql.query<{ name: string }>(
    `select quote_ident(n.nspname) as name from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname = 'amcheck'`,
  )
  const indexes = await sql.query<{ oid: string; name: string }>(
    `select c.oid::text as oid, c.oid::regclass::text as name
     from pg_class c join pg_am a on a.oid = c.relam join pg_index i on i.indexrelid = c.oid
     where c.relkind = 'i' and c.relpersistence = 'p' and i.indisvalid and i.indisready and a.amname = 'btree' order by c.oid`,
  )
  const broken: string[] = []
  for (const { oid, name } of indexes) {
    try {
      await sql.query(`select ${place?.name ?? 'public'}.bt_index_check($1::oid::regclass, $2)`, [oid, deep])
    } catch (error) {
      const { code, message } = toRetakeError(error)
      // The server itself has gone: no finding about an index.
      if (code !== 'postgres.error') throw error
      broken.push(`${name} in ${database}: ${message}`)
    }
  }
  return { count: indexes.length, broken }
}

async function hasOtherCollation(sql: SqlConnection): Promise<boolean> {
  const [row] = await sql.query<{ differs: boolean }>(
    `select exists (select from pg_database where datname = current_database()
       and datcollversion <> pg_database_collation_actual_version(oid))
       or exists (select from pg_collation where collversion <> pg_collation_actual_version(oid)) as differs`,
  )
  return row?.differs === true
}
