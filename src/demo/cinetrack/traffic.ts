/** Live traffic on CineTrack: a mixture of transactions at a steady rate, with a record of every commit that the server confirmed. */
import { sleep } from '../../base/abort.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { makeWorld, type World } from './data-world.ts'
import { Random } from './random.ts'
import { type Action, actions, someUser } from './traffic-actions.ts'

export interface TrafficOptions {
  /** A superuser: sign-ups write `auth`, everything else takes the role `authenticated`. */
  readonly target: ConnectionTarget
  /** As the data was installed; default 1. */
  readonly seed?: number | undefined
  readonly scale?: number | undefined
  /** Default 4. */
  readonly connections?: number | undefined
  /** Over all connections; absent: as fast as it goes. */
  readonly transactionsPerSecond?: number | undefined
  /** Each transaction also writes a row `(connection, sequence, xid)` into `retake_traffic.marks`, to tell afterwards which are there. */
  readonly marks?: boolean | undefined
  /** Connect again when a connection is lost, until stopped; default false: the connection's work ends. */
  readonly reconnect?: boolean | undefined
}

/** A transaction whose commit the server confirmed. */
export interface CommittedTransaction {
  readonly connection: number
  readonly sequence: number
  readonly xid: bigint
  readonly kind: string
  /** Our clock, when the confirmation arrived; milliseconds since 1970. */
  readonly atMs: number
}

export interface Traffic extends AsyncDisposable {
  readonly committed: readonly CommittedTransaction[]
  /** Commits that were sent and never answered: they may have happened or not. */
  readonly inDoubt: readonly { readonly connection: number; readonly sequence: number }[]
  /** Transactions that the server refused (a deadlock, a table that is gone) or that were rolled back on purpose. */
  readonly rolledBack: number
  /** The last statement error, for people who wonder why nothing commits. */
  readonly lastError: string | undefined
  /** Resolves when no transaction is open and none will begin. */
  pause(): Promise<void>
  resume(): void
  /** Lets open transactions end, and closes the connections. */
  stop(): Promise<void>
}

/** @throws RetakeError as {@link openSql}, when the first connections cannot be made */
export async function startTraffic(options: TrafficOptions): Promise<Traffic> {
  const world = makeWorld(options.seed ?? 1, options.scale ?? 1)
  const connections: SqlConnection[] = []
  try {
    for (let i = 0; i < (options.connections ?? 4); i++) connections.push(await connectTraffic(options.target))
    const [first] = connections
    if (options.marks && first) await createMarks(first)
  } catch (error) {
    for (const connection of connections) await connection[Symbol.asyncDispose]()
    throw error
  }
  return new RunningTraffic(options, world, connections)
}

/** Which transactions of a traffic with marks are in the database that `sql` leads to, as `connection:sequence`. */
export async function readMarks(sql: Pick<SqlConnection, 'query'>): Promise<Set<string>> {
  const rows = await sql.query<{ key: string }>(`select connection || ':' || sequence as key from retake_traffic.marks`)
  return new Set(rows.map((row) => row.key))
}

function connectTraffic(target: ConnectionTarget): Promise<SqlConnection> {
  return openSql(target, { applicationName: 'cinetrack', connectTimeoutMs: 10_000 })
}

async function createMarks(sql: SqlConnection): Promise<void> {
  await sql.query('create schema if not exists retake_traffic')
  await sql.query(
    `create table if not exists retake_traffic.marks
       (connection integer, sequence integer, xid xid8, at timestamptz default clock_timestamp(), primary key (connection, sequence))`,
  )
  await sql.query('grant usage on schema retake_traffic to authenticated')
  await sql.query('grant insert on retake_traffic.marks to authenticated')
}

/** Numbers the connections of a process, so that two traffics on one server never write the same mark. */
let nextConnection = 0

class RunningTraffic implements Traffic {
  readonly committed: CommittedTransaction[] = []
  readonly inDoubt: { connection: number; sequence: number }[] = []
  rolledBack = 0
  lastError: string | undefined
  readonly #options: TrafficOptions
  readonly #world: World
  readonly #workers: readonly Promise<void>[]
  readonly #stop = new AbortController()
  /** Resolved while traffic flows. */
  #gate = Promise.withResolvers<void>()
  #paused = false
  #open = 0
  #idle: (() => void) | undefined
  #stopped: Promise<void> | undefined

  constructor(options: TrafficOptions, world: World, connections: readonly SqlConnection[]) {
    this.#options = options
    this.#world = world
    this.#gate.resolve()
    this.#workers = connections.map((sql) => this.#work(nextConnection++, sql))
  }

  async pause(): Promise<void> {
    if (!this.#paused) {
      this.#paused = true
      this.#gate = Promise.withResolvers()
    }
    if (this.#open === 0) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  resume(): void {
    this.#paused = false
    this.#gate.resolve()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #end(): Promise<void> {
    this.#stop.abort()
    this.resume()
    await Promise.all(this.#workers)
  }

  async #work(connection: number, first: SqlConnection): Promise<void> {
    const random = new Random(this.#options.seed ?? 1, 0x74726166, connection)
    const pauseMs = this.#pauseMs()
    let sql: SqlConnection | undefined = first
    let due = performance.now() + random.fraction() * pauseMs
    for (let sequence = 0; !this.#stop.signal.aborted; sequence++) {
      if (pauseMs > 0) await this.#waitUntil(due)
      // After a pause nothing is made up for: the rate stays, and no burst follows.
      due = Math.max(due + pauseMs, performance.now() - pauseMs)
      sql ??= await this.#connectAgain()
      // Nothing may be awaited between the look at the gate and the count: pause() relies on it.
      while (this.#paused) await this.#gate.promise
      if (sql === undefined || this.#stop.signal.aborted) break
      this.#open += 1
      const alive = await this.#transaction(sql, { connection, sequence, random })
      this.#open -= 1
      if (this.#open === 0) this.#idle?.()
      if (alive) continue
      await sql[Symbol.asyncDispose]()
      sql = undefined
      if (!this.#options.reconnect) break
    }
    await sql?.[Symbol.asyncDispose]()
  }

  #pauseMs(): number {
    const { transactionsPerSecond, connections = 4 } = this.#options
    return transactionsPerSecond === undefined ? 0 : (1_000 * connections) / transactionsPerSecond
  }

  async #waitUntil(due: number): Promise<void> {
    const waitMs = due - performance.now()
    if (waitMs > 0) await sleep(waitMs, this.#stop.signal).catch(() => {})
  }

  async #connectAgain(): Promise<SqlConnection | undefined> {
    while (!this.#stop.signal.aborted) {
      try {
        return await connectTraffic(this.#options.target)
      } catch (error) {
        this.lastError = String(error)
        await sleep(100, this.#stop.signal).catch(() => {})
      }
    }
    return undefined
  }

  /** False when the connection is lost. */
  async #transaction(
    sql: SqlConnection,
    at: { readonly connection: number; readonly sequence: number; readonly random: Random },
  ): Promise<boolean> {
    const { connection, sequence, random } = at
    const action = pickAction(random)
    let committing = false
    try {
      await sql.query('begin')
      const user = someUser(this.#world, random)
      if (action.as === 'user') await signIn(sql, user)
      await action.run({ sql, world: this.#world, random, user })
      const xid = await this.#mark(sql, connection, sequence)
      if (action.rollsBack) {
        await sql.query('rollback')
        this.rolledBack += 1
        return true
      }
      committing = true
      await sql.query('commit')
      this.committed.push({ connection, sequence, xid, kind: action.kind, atMs: Date.now() })
      return true
    } catch (error) {
      this.lastError = error instanceof Error ? error.message : String(error)
      if (!isRetakeError(error, 'postgres.error')) {
        if (committing) this.inDoubt.push({ connection, sequence })
        return false
      }
      this.rolledBack += 1
      return sql.query('rollback').then(
        () => true,
        () => false,
      )
    }
  }

  async #mark(sql: SqlConnection, connection: number, sequence: number): Promise<bigint> {
    if (this.#options.marks) {
      await sql.query(
        'insert into retake_traffic.marks (connection, sequence, xid) values ($1, $2, pg_current_xact_id())',
        [connection, sequence],
      )
    }
    const [row] = await sql.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
    return BigInt(row?.xid ?? 0)
  }
}

/** As PostgREST does it: the role, and who it is, for this transaction only. */
async function signIn(sql: SqlConnection, user: string): Promise<void> {
  const claims = JSON.stringify({ sub: user, role: 'authenticated', aal: 'aal1' })
  await sql.query(`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, [
    claims,
  ])
}

const totalWeight = actions.reduce((sum, action) => sum + action.weight, 0)

function pickAction(random: Random): Action {
  let point = random.fraction() * totalWeight
  for (const action of actions) {
    point -= action.weight
    if (point < 0) return action
  }
  return actions[0] as Action
}
