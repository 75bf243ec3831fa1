import { toRetakeError } from '../../base/errors.ts'
import { type Check, enumerate, failed, passed } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

/** Every row is written to nowhere: its page is read, its checksum verified, its large values put together, its types asked. */
export const readingCheck: Check<ProofSubject> = {
  name: 'rows',
  title: 'Every row of every table can be read',
  run: async ({ inEach }) => {
    const broken: string[] = []
    let tables = 0
    let bytes = 0n
    await inEach(async (sql, database) => {
      const list = await sql.query<{ name: string; bytes: string }>(
        `select c.oid::regclass::text as name, pg_table_size(c.oid)::text as bytes from pg_class c
         where c.relkind in ('r', 'm') and c.relpersistence = 'p' and (c.relkind = 'r' or c.relispopulated) order by c.oid`,
      )
      for (const one of list) {
        tables += 1
        bytes += BigInt(one.bytes)
        try {
          await sql.query(`copy (select * from only ${one.name}) to '/dev/null'`)
        } catch (error) {
          const { code, message } = toRetakeError(error)
          if (code !== 'postgres.error') throw error
          broken.push(`${one.name} in ${database}: ${message}`)
        }
      }
    })
    if (broken.length > 0) return failed(`${broken.length} of ${tables} tables could not: ${enumerate(broken)}.`)
    return passed(`${tables} tables, ${bytes} bytes.`)
  },
}
