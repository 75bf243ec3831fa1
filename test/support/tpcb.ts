/** The load of `pgbench` (its TPC-B-like transaction, its tables and data), in every major, whether or not the program is there. */
import { sleep } from '../../src/base/abort.ts'
import { isRetakeError } from '../../src/base/errors.ts'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'
import { openSql } from '../../src/postgres/connection/sql.ts'

const ACCOUNTS_PER_BRANCH = 100_000

export interface TpcbOptions {
  readonly target: ConnectionTarget
  /** Accounts in all; pgbench has 100,000 per unit of scale. Default 10,000. */
  readonly accounts?: number | undefined
  readonly connections?: number | undefined
  /** Over all connections; absent: as fast as it goes. */
  readonly transactionsPerSecond?: number | undefined
}

export interface TpcbLoad extends AsyncDisposable {
  readonly committed: number
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

/** What `pgbench -i` makes, with as many accounts as wanted. */
export async function installTpcb(target: ConnectionTarget, accounts = 10_000): Promise<void> {
  await using sql = await openSql(target)
  const branches = Math.max(1, Math.floor(accounts / ACCOUNTS_PER_BRANCH))
  for (const statement of [
    'create table pgbench_branches (bid int not null, bbalance int, filler char(88)) with (fillfactor = 100)',
    'create table pgbench_tellers (tid int not null, bid int, tbalance int, filler char(84)) with (fillfactor = 100)',
    'create table pgbench_accounts (aid int not null, bid int, abalance int, filler char(84)) with (fillfactor = 100)',
    'create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))',
    `insert into pgbench_branches select g, 0 from generate_series(1, ${branches}) g`,
    `insert into pgbench_tellers select g, (g - 1) / 10 + 1, 0 from generate_series(1, ${branches * 10}) g`,
    `insert into pgbench_accounts select g, (g - 1) / ${Math.ceil(accounts / branches)} + 1, 0, '' from generate_series(1, ${accounts}) g`,
    'alter table pgbench_branches add primary key (bid)',
    'alter table pgbench_tellers add primary key (tid)',
    'alter table pgbench_accounts add primary key (aid)',
  ]) {
    await sql.query(statement)
  }
}

export async function startTpcb(options: TpcbOptions): Promise<TpcbLoad> {
  const { accounts = 10_000, connections = 2, transactionsPerSecond } = options
  const pauseMs = transactionsPerSecond === undefined ? 0 : (1_000 * connections) / transactionsPerSecond
  const stop = new AbortController()
  const branches = Math.max(1, Math.floor(accounts / ACCOUNTS_PER_BRANCH))
  let gate: PromiseWithResolvers<void> | undefined
  let open = 0
  let idle: (() => void) | undefined
  const load = {
    committed: 0,
    async pause() {
      gate ??= Promise.withResolvers()
      if (open > 0) await new Promise<void>((resolve) => (idle = resolve))
    },
    resume() {
      gate?.resolve()
      gate = undefined
    },
    async stop() {
      stop.abort()
      load.resume()
      await Promise.all(workers)
    },
    [Symbol.asyncDispose]: () => load.stop(),
  }
  const work = async (): Promise<void> => {
    await using sql = await openSql(options.target, { applicationName: 'tpcb' })
    while (!stop.signal.aborted) {
      if (pauseMs > 0) await sleep(pauseMs * 2 * Math.random(), stop.signal).catch(() => {})
      // Nothing may be awaited between the look at the gate and the count: pause() relies on it.
      while (gate) await gate.promise
      if (stop.signal.aborted) break
      open += 1
      try {
        await transaction(sql, accounts, branches)
        load.committed += 1
      } catch (error) {
        // A lost connection ends the worker; the tests that break servers on purpose look at what the server holds.
        if (!isRetakeError(error, 'postgres.error')) return
        await sql.query('rollback')
      } finally {
        open -= 1
        if (open === 0) idle?.()
      }
    }
  }
  const workers = Array.from({ length: connections }, work)
  return load
}

type Sql = Awaited<ReturnType<typeof openSql>>

async function transaction(sql: Sql, accounts: number, branches: number): Promise<void> {
  const aid = 1 + Math.floor(Math.random() * accounts)
  const bid = 1 + Math.floor(Math.random() * branches)
  const tid = 1 + Math.floor(Math.random() * branches * 10)
  const delta = Math.floor(Math.random() * 10_001) - 5_000
  await sql.query('begin')
  await sql.query('update pgbench_accounts set abalance = abalance + $1 where aid = $2', [delta, aid])
  await sql.query('select abalance from pgbench_accounts where aid = $1', [aid])
  await sql.query('update pgbench_tellers set tbalance = tbalance + $1 where tid = $2', [delta, tid])
  await sql.query('update pgbench_branches set bbalance = bbalance + $1 where bid = $2', [delta, bid])
  await sql.query(
    'insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)',
    [tid, bid, aid, delta],
  )
  await sql.query('commit')
}
