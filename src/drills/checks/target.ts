import { type Check, failed, notVerifiable, passed } from '../check.ts'
import type { ProofSubject } from '../proof-subject.ts'

/** That replay stopped at the record of the plan is asserted by the recovery itself; here the server is asked for the last transaction. */
export const targetCheck: Check<ProofSubject> = {
  name: 'target',
  title: 'Exactly the target was reached',
  run: async ({ access, plan }) => {
    const { recordLsn, applied, lastTransaction } = plan.stop
    const where = `Replay stopped ${applied ? 'after' : 'before'} the record at ${recordLsn}, as planned`
    if (!lastTransaction) return passed(`${where}; no transaction ended between the backup and the target.`)
    await using sql = await access.open(access.database)
    // The log holds the low 32 bits of a transaction's id; the server counts 64.
    const [row] = await sql.query<{ status: string | null }>(
      `select pg_xact_status((epoch * 4294967296 + $1::numeric)::text::xid8) as status
       from (select div(next, 4294967296) - case when mod(next, 4294967296) <= $1::numeric then 1 else 0 end as epoch
             from (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as next) n) e`,
      [lastTransaction.xid],
    )
    const name = `transaction ${lastTransaction.xid} of ${lastTransaction.at}`
    if (row?.status === 'committed') return passed(`${where}; the last that came back is ${name}.`)
    if (!row || row.status === null) return notVerifiable(`${where}; the server no longer knows how ${name} ended.`)
    return failed(`${where}, but ${name} is not committed in the server: ${row.status}.`)
  },
}
