import { type Check, enumerate, failed, notVerifiable, passed, skipped } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

export const tableCheck: Check<ProofSubject> = {
  name: 'critical-tables',
  title: 'Critical tables are there, with rows',
  run: async ({ inEach, criticalTables }) => {
    if (criticalTables === undefined) return skipped('No critical tables are configured (criticalTables).')
    if (criticalTables.length === 0) return skipped('The configuration says that no table is critical.')
    const there = new Map<string, boolean>()
    await inEach(async (sql) => {
      for (const { table } of criticalTables) {
        const [row] = await sql.query<{ name: string | null }>('select to_regclass($1)::text as name', [table])
        if (row?.name == null) continue
        const rows = await sql.query(`select 1 as found from ${row.name} limit 1`)
        there.set(table, there.get(table) === true || rows.length > 0)
      }
    })
    const missing = criticalTables
      .filter(({ table }) => !there.has(table))
      .map(({ table, tier }) => `${table} (${tier})`)
    if (missing.length > 0) return failed(`Missing in every database: ${enumerate(missing)}.`)
    const empty = criticalTables.filter(({ table }) => there.get(table) === false).map(({ table }) => table)
    if (empty.length > 0) {
      return notVerifiable(
        `Without a row at that moment: ${enumerate(empty)}. Whether that is right, the source must tell.`,
      )
    }
    return passed(`All ${criticalTables.length} are there and have rows.`)
  },
}
