import { type Check, enumerate, failed, notVerifiable, passed } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

export const connectCheck: Check<ProofSubject> = {
  name: 'databases',
  title: 'Every database can be connected to',
  run: async ({ inEach, databases }) => {
    await inEach((sql) => sql.query('select 1'))
    return passed(`${databases.length} databases: ${enumerate(databases)}.`)
  },
}

const CATALOGUES = ['pg_class', 'pg_attribute', 'pg_type', 'pg_proc', 'pg_index', 'pg_constraint', 'pg_depend']

export const catalogueCheck: Check<ProofSubject> = {
  name: 'catalogues',
  title: 'The catalogues can be read',
  run: async ({ inEach }) => {
    const missing: string[] = []
    const counts = await inEach(async (sql, database) => {
      // Read from beginning to end, not through an index.
      await sql.query('set enable_indexonlyscan = off')
      await sql.query('set enable_indexscan = off')
      for (const name of CATALOGUES) await sql.query(`select count(c.*) from pg_catalog.${name} c`)
      const [row] = await sql.query<{ relations: number; lost: string[] }>(
        // Every relation has the file that its row names.
        `select count(*)::int as relations,
           coalesce(array_agg(oid::regclass::text) filter (where pg_relation_filepath(oid) is null), '{}') as lost
         from pg_class where relkind in ('r', 'i', 't', 'm', 'S')`,
      )
      missing.push(...(row?.lost ?? []).map((name) => `${name} in ${database}`))
      return row?.relations ?? 0
    })
    if (missing.length > 0) return failed(`Relations without a file: ${enumerate(missing)}.`)
    return passed(`${counts.reduce((sum, one) => sum + one, 0)} relations in ${counts.length} databases.`)
  },
}

/** Indexes on text are ordered as the libraries of the machine sort; on one that sorts otherwise they must be built anew. */
export const collationCheck: Check<ProofSubject> = {
  name: 'collations',
  title: 'This machine sorts text as the source does',
  run: async ({ inEach }) => {
    const differing = (
      await inEach(async (sql, database) => {
        const rows = await sql.query<{ was: string; here: string }>(
          `select datcollversion as was, pg_database_collation_actual_version(oid) as here from pg_database
           where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid)`,
        )
        return rows.map(({ was, here }) => `${database}: ${was} there, ${here} here`)
      })
    ).flat()
    if (differing.length === 0) return passed('The versions of the collations are the same, or none are known.')
    return notVerifiable(
      `This machine sorts text by another version (${enumerate(differing)}): after a real recovery onto it, REINDEX indexes on text.`,
    )
  },
}
