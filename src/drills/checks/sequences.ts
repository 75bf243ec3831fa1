import { type Check, passed, skipped } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

export const sequenceCheck: Check<ProofSubject> = {
  name: 'sequences',
  title: 'Sequences can be read',
  run: async ({ inEach }) => {
    const counts = await inEach(async (sql) => {
      const rows = await sql.query<{ name: string }>(
        `select oid::regclass::text as name from pg_class where relkind = 'S' and relpersistence = 'p' order by oid`,
      )
      for (const { name } of rows) await sql.query(`select last_value, is_called from ${name}`)
      return rows.length
    })
    const count = counts.reduce((sum, one) => sum + one, 0)
    return count === 0 ? skipped('There are none.') : passed(`${count} sequences.`)
  },
}
