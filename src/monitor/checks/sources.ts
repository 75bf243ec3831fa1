/**
 * What the checks measure, each thing once for all of them: one connection to the server, one opened repository, one listing. The
 * first check that needs a thing begins it; every check waits for it within its own time limit.
 */
import { RetakeError } from '../../base/errors.ts'
import { defaultSlotName } from '../../engine/config-options.ts'
import { gatherServerFacts, type ServerFacts } from '../../engine/doctor/server-facts.ts'
import { readNative } from '../../engine/native/read-native.ts'
import { openRetake, type Retake, type RetakeOptions, type RetakeSettings, retakeSettings } from '../../engine/open.ts'
import { readSchedules, type SchedulesReport } from '../../engine/schedules.ts'
import { queryServerView, type ServerView } from '../../engine/server-view.ts'
import { findRuns, type RunsFound } from '../../engine/unfinished-runs.ts'
import { type Holdings, readHoldings } from '../../engine/window.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { formatLsn, type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { NativeState } from '../../supabase/native/state.ts'
import type { Observation } from './observation.ts'

/** A cluster by its configuration, or one whose repository is open already (and stays open). */
export type HealthSubject = RetakeOptions | Retake

export interface ServerLink {
  readonly sql: SqlConnection
  readonly connectMs: number
  /** One round trip. */
  readonly latencyMs: number
}

/** What a transaction that ends after it was read would change. */
export interface ServerMoment extends ServerView, Pick<Observation, 'database' | 'nextXid' | 'transactionsOpen'> {
  readonly insertLsn?: string | undefined
}

export interface SourcesOptions {
  readonly subject: HealthSubject
  readonly earlier?: Observation | undefined
  readonly keptSince?: ReadonlyMap<string, Date> | undefined
  /** How long a connection may take. */
  readonly connectTimeoutMs: number
  readonly signal: AbortSignal
}

export class HealthSources implements AsyncDisposable {
  readonly settings: RetakeSettings
  readonly earlier: Observation | undefined
  /** Since when somebody has kept each schedule, by its name; empty: nobody is known to. */
  readonly keptSince: ReadonlyMap<string, Date>
  readonly #stop = new AbortController()
  readonly #opened: Promise<AsyncDisposable | undefined>[] = []

  readonly link: () => Promise<ServerLink>
  readonly moment: () => Promise<ServerMoment>
  readonly serverFacts: () => Promise<ServerFacts>
  readonly retake: () => Promise<{ readonly retake: Retake; readonly openMs: number }>
  readonly holdings: () => Promise<Holdings>
  readonly runs: () => Promise<RunsFound>
  readonly schedules: () => Promise<SchedulesReport>
  readonly native: () => Promise<NativeState | undefined>

  constructor({ subject, earlier, connectTimeoutMs, signal, keptSince = new Map() }: SourcesOptions) {
    this.settings = 'repository' in subject ? subject : retakeSettings(subject)
    this.earlier = earlier
    this.keptSince = keptSince
    const { clock } = this.settings
    const ends = AbortSignal.any([signal, this.#stop.signal])
    this.link = once(async () => {
      const begunMs = clock.monotonicMs()
      const options = { applicationName: 'retake health', connectTimeoutMs, signal: ends }
      const sql = await this.#keep(openSql(this.settings.target(), options))
      const connectMs = clock.monotonicMs() - begunMs
      // A statement that hangs must not hold up the others for long, nor wait for anybody's lock.
      await sql.query(`set statement_timeout = ${connectTimeoutMs}; set lock_timeout = ${connectTimeoutMs}`)
      const askedMs = clock.monotonicMs()
      await sql.query('select 1')
      return { sql: oneAtATime(sql), connectMs, latencyMs: clock.monotonicMs() - askedMs }
    })
    this.moment = once(async () => readMoment((await this.link()).sql))
    this.serverFacts = once(async () => {
      const { config, clusterName } = this.settings
      const slotName = config.slot ?? defaultSlotName(clusterName)
      return gatherServerFacts((await this.link()).sql, { slotName, nowMs: () => clock.now().getTime() })
    })
    this.retake = once(async () => {
      const begunMs = clock.monotonicMs()
      const retake = 'repository' in subject ? subject : await this.#keep(openRetake({ ...subject, signal: ends }))
      // Opened long ago says nothing about now: its own record is read again, and the cluster's.
      await retake.repository.listHolders()
      await retake.repository.openCluster(retake.clusterName)
      return { retake, openMs: clock.monotonicMs() - begunMs }
    })
    this.holdings = once(async () => readHoldings((await this.retake()).retake))
    this.runs = once(async () => findRuns((await this.retake()).retake, await this.holdings()))
    this.native = once(() => readNative(this.settings, { signal: ends }))
    this.schedules = once(async () => {
      const { retake } = await this.retake()
      return readSchedules(retake, { holdings: await this.holdings(), next: 1, keptSince })
    })
  }

  /** Whether this is closed in the end, also when it opens only after that. */
  async #keep<T extends AsyncDisposable>(opening: Promise<T>): Promise<T> {
    this.#opened.push(opening.catch(() => undefined))
    return opening
  }

  /** Closes what was opened. What hangs is told to stop, and not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new RetakeError('aborted', 'The checks are over.'))
    const closing = this.#opened.map(async (opening) => (await opening)?.[Symbol.asyncDispose]())
    const patience = Promise.withResolvers<void>()
    const timer = setTimeout(patience.resolve, CLOSE_TIMEOUT_MS)
    try {
      await Promise.race([Promise.allSettled(closing), patience.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

const CLOSE_TIMEOUT_MS = 3000

/** Begun by the first who asks; an error is for everyone who asks, and is no unhandled rejection when nobody waits any more. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    if (!made) {
      made = make()
      made.catch(() => {})
    }
    return made
  }
}

/** A connection that several use at the same time: each statement waits for the ones before it. */
function oneAtATime(sql: SqlConnection): SqlConnection {
  let last: Promise<unknown> = Promise.resolve()
  return {
    serverVersionNum: sql.serverVersionNum,
    query: <R extends object>(text: string, values?: readonly unknown[]) => {
      const rows = last.then(() => sql.query<R>(text, values))
      last = rows.catch(() => {})
      return rows
    },
    [Symbol.asyncDispose]: () => sql[Symbol.asyncDispose](),
  }
}

interface SnapshotRow {
  readonly database: string
  readonly nextXid: string
  readonly transactionsOpen: boolean
}

/**
 * In this order: a transaction that is over in the snapshot has its commit record before the insert position that is read after it.
 * `xmax` is one beyond the highest transaction that has ended; below it, those between `xmin` and `xmax` may be open.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
async function readMoment(sql: SqlConnection): Promise<ServerMoment> {
  const [snapshot] = await sql.query<SnapshotRow>(
    `select current_database() as "database", pg_snapshot_xmax(s)::text as "nextXid",
            pg_snapshot_xmin(s) <> pg_snapshot_xmax(s) as "transactionsOpen" from pg_current_snapshot() s`,
  )
  const [insert] = await sql.query<InsertRow>(INSERT_QUERY)
  if (!snapshot || !insert) throw new Error('assertion failed: the server answered without a row')
  const insertLsn = insert.lsn === null ? undefined : formatLsn(endOfRecords(parseLsn(insert.lsn), insert))
  return { ...snapshot, ...(insertLsn === undefined ? {} : { insertLsn }), ...(await queryServerView(sql)) }
}

interface InsertRow {
  readonly lsn: string | null
  readonly pageBytes: number
  readonly segmentBytes: number
}

const INSERT_QUERY = `
  select case when pg_is_in_recovery() then null else pg_current_wal_insert_lsn() end::text as "lsn",
         (select setting::int4 from pg_settings where name = 'wal_block_size') as "pageBytes",
         (select setting::int4 from pg_settings where name = 'wal_segment_size') as "segmentBytes"`

/** Sizes of the headers of a page and of a segment's first page: `XLogPageHeaderData`, `XLogLongPageHeaderData`. */
const PAGE_HEADER_BYTES = 24n
const SEGMENT_HEADER_BYTES = 40n

/** At the beginning of a page the server names the place behind the header, where nothing was written yet. */
export function endOfRecords(
  insertLsn: Lsn,
  { pageBytes, segmentBytes }: { readonly pageBytes: number; readonly segmentBytes: number },
): Lsn {
  const isFirstPage = insertLsn % BigInt(segmentBytes) < BigInt(pageBytes)
  const inPage = insertLsn % BigInt(pageBytes)
  return inPage === (isFirstPage ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES) ? ((insertLsn - inPage) as Lsn) : insertLsn
}
