/** Single tables out of physical backups at many moments chosen by chance, while other tables are under load and everything is rewritten. */
import { Random } from '../../src/demo/cinetrack/random.ts'
import { openSql } from '../../src/postgres/connection/sql.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { recoverTables } from '../../src/recovery/tables/recover-tables.ts'
import { parseTableName } from '../../src/recovery/tables/table-name.ts'
import { parseTarget } from '../../src/recovery/targets.ts'
import { changeKinds, digestInSnapshot, installKinds, KIND_TABLES, REWRITES } from '../support/kinds.ts'
import { protect, waitArchived, waitStreaming } from '../support/lab.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { makeTemp } from '../support/temp.ts'
import { installTpcb, startTpcb } from '../support/tpcb.ts'

export interface TablesSoakOptions {
  readonly major: number
  readonly targets: number
  readonly seed: number
  readonly say: (line: string) => void
}

interface Moment {
  readonly at: string
  readonly content: Readonly<Record<string, string>>
}

/** A backup now and then, so that targets are near to one and far from it. */
const STEPS_OF_BACKUP = 12

/** @returns what was wrong */
export async function runTablesSoak({ major, targets, seed, say }: TablesSoakOptions): Promise<string[]> {
  const random = new Random(seed, major)
  // Without checksums pages change in ways that are not logged.
  const settings = { wal_log_hints: 'off' }
  await using server = await startTestServer({ major, checksums: random.chance(0.5), settings })
  await installTpcb(server.target, 20_000)
  await installKinds(server)
  await using lab = await protect(server)
  await using receiver = lab.receive()
  await waitStreaming(server)
  const moments: Moment[] = []
  {
    await using _load = await startTpcb({ target: server.target, accounts: 20_000, transactionsPerSecond: 200 })
    for (let step = 0; step < targets; step += 1) {
      if (step % STEPS_OF_BACKUP === 0) {
        await writeFullPages(server, 'on')
        await lab.backUp()
        await writeFullPages(server, random.pick(['on', 'off']))
      }
      await changeKinds(server, step)
      await server.query(random.pick(REWRITES).replace('table later', `table later_${step}`))
      if (random.chance(0.3)) await server.query('checkpoint')
      const content = await digestInSnapshot(server, KIND_TABLES)
      const [row] = await server.query<{ lsn: string }>(`select pg_create_restore_point('here')::text as lsn`)
      moments.push({ at: `lsn:${row?.lsn}`, content })
    }
    await server.query('delete from shop.reviews; drop table shop.sales; truncate shop.customers cascade')
  }
  await waitArchived(server)
  await receiver.stop()
  say(`PostgreSQL ${major}: ${moments.length} moments`)
  await using temp = makeTemp({ owner: serverAccount() })
  const problems: string[] = []
  for (const [index, { at, content }] of moments.entries()) {
    const tables = KIND_TABLES.filter(() => random.chance(0.5))
    const wanted = tables.length > 0 ? tables : [KIND_TABLES[index % KIND_TABLES.length] ?? 'shop.reviews']
    try {
      await using recovered = await recoverTables({
        cluster: lab.cluster,
        target: parseTarget(at),
        parent: temp.path,
        wanted: { database: 'postgres', tables: wanted.map(parseTableName) },
        workers: 0,
      })
      await using sql = await openSql(recovered.target)
      const found = await digestInSnapshot(sql, wanted)
      for (const table of wanted) {
        if (found[table] !== content[table])
          problems.push(`${table} at ${at}: ${found[table]} instead of ${content[table]}`)
      }
    } catch (error) {
      problems.push(`${wanted.join(', ')} at ${at}: ${error instanceof Error ? error.message : String(error)}`)
    }
    if ((index + 1) % 10 === 0) say(`PostgreSQL ${major}: ${index + 1} targets, ${problems.length} wrong`)
  }
  return problems
}

/** Off is only allowed between backups; what was left out needs no page that the log holds whole. */
async function writeFullPages(server: TestServer, value: string): Promise<void> {
  await server.query(`alter system set full_page_writes = ${value}`)
  await server.query('select pg_reload_conf()')
  // The checkpointer logs the change when it has seen it.
  await server.query('checkpoint')
}
