/**
 * The session that holds a server in backup mode. Its end, however it comes, ends the backup mode: a client that is killed
 * leaves nothing on the server. So it is open from the start to the stop, and watched in between.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
import { abortedError, assert, isRetakeError, RetakeError } from '../../../base/errors.ts'
import type { ConnectionTarget } from '../../../postgres/connection/config.ts'
import { openSql } from '../../../postgres/connection/sql.ts'
import type { SqlConnection } from '../../../postgres/connection/sql-connection.ts'
import { formatLsn, type Lsn, parseLsn } from '../../../postgres/lsn.ts'

export interface BackupSessionOptions {
  readonly signal: AbortSignal
  /** Called once when the session breaks: what is read from now on belongs to no backup. */
  readonly lost: (error: unknown) => void
  /** How often the session is looked at. Default 1,000. */
  readonly watchIntervalMs?: number | undefined
}

export interface StartedBackup {
  readonly startLsn: Lsn
  readonly startTimeline: number
}

export interface StoppedBackup {
  readonly stopLsn: Lsn
  readonly stopTimeline: number
  /** The content of `backup_label`, to the byte. */
  readonly label: string
}

const WATCH_INTERVAL_MS = 1_000

/** Nothing that an administrator sets for ordinary sessions may end this one. */
const PREPARE = `
  select set_config(name, '0', false) from pg_settings
   where name in ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout')`

/** A standby ends where its control file says that it is consistent; a primary stays on its timeline. */
const STOP = `
  select lsn::text as lsn, labelfile as label,
         case when pg_is_in_recovery() then (select min_recovery_end_timeline from pg_control_recovery())
              else (select timeline_id from pg_control_checkpoint()) end as timeline
    from pg_backup_stop(wait_for_archive => false)`

export class BackupSession implements AsyncDisposable {
  readonly #connection: SqlConnection
  readonly #options: BackupSessionOptions
  readonly #onAbort = () => void this.#close()
  #process: number | undefined
  #started: StartedBackup | undefined
  #timer: NodeJS.Timeout | undefined
  #watching: Promise<void> = Promise.resolve()
  #isLost = false

  private constructor(connection: SqlConnection, options: BackupSessionOptions) {
    this.#connection = connection
    this.#options = options
    options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  static async open(target: ConnectionTarget, options: BackupSessionOptions): Promise<BackupSession> {
    const connection = await openSql(target, { applicationName: 'retake backup', signal: options.signal })
    const session = new BackupSession(connection, options)
    try {
      await session.#query(PREPARE)
      session.#process = await session.#processId()
      return session
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw error
    }
  }

  /** @param options.fastCheckpoint at once, with a burst of writes, instead of spread over minutes */
  async start(label: string, options: { readonly fastCheckpoint: boolean }): Promise<StartedBackup> {
    const [row] = await this.#query<{ lsn: string }>('select pg_backup_start($1, $2)::text as lsn', [
      label,
      options.fastCheckpoint,
    ])
    const [control] = await this.#query<{ timeline: number }>(
      'select timeline_id as timeline from pg_control_checkpoint()',
    )
    assert(row && control, 'a function returns a row')
    this.#started = { startLsn: parseLsn(row.lsn), startTimeline: control.timeline }
    this.#timer = setInterval(() => this.#watch(), this.#options.watchIntervalMs ?? WATCH_INTERVAL_MS)
    return this.#started
  }

  /** Ends the backup mode. WAL is not waited for: whoever needs it sees to it. The server refuses when it was promoted meanwhile. */
  async stop(): Promise<StoppedBackup> {
    clearInterval(this.#timer)
    await this.#watching
    const [row] = await this.#query<{ lsn: string; label: string; timeline: number }>(STOP)
    assert(row, 'a function returns a row')
    this.#requireSameStart(row.label)
    return { stopLsn: parseLsn(row.lsn), stopTimeline: row.timeline, label: row.label }
  }

  /** A restore believes the label; the summary must say the same. */
  #requireSameStart(label: string): void {
    const started = this.#started
    assert(started, 'a backup is stopped after it was started')
    const lsn = /^START WAL LOCATION: (\S+)/m.exec(label)?.[1]
    const timeline = /^START TIMELINE: (\d+)$/m.exec(label)?.[1]
    if (lsn === formatLsn(started.startLsn) && Number(timeline) === started.startTimeline) return
    throw new RetakeError(
      'backup.refused',
      `The server says that the backup began at ${lsn} on timeline ${timeline}, but it was begun at ${formatLsn(started.startLsn)} on timeline ${started.startTimeline}.`,
      { hint: 'Run the backup again; the server may have changed its timeline just then.' },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    await this.#close()
    await this.#watching
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#connection[Symbol.asyncDispose]()
  }

  async #query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]> {
    const { signal } = this.#options
    try {
      return await this.#connection.query<R>(text, values)
    } catch (error) {
      if (!signal.aborted) throw error
      throw isRetakeError(signal.reason) ? signal.reason : abortedError(signal.reason)
    }
  }

  async #processId(): Promise<number> {
    const [row] = await this.#query<{ pid: number }>('select pg_backend_pid() as pid')
    assert(row, 'a function returns a row')
    return row.pid
  }

  /** One look at a time; also what keeps firewalls from forgetting the connection. */
  #watch(): void {
    this.#watching = this.#watching.then(() => this.#look())
  }

  async #look(): Promise<void> {
    if (this.#isLost || this.#options.signal.aborted) return
    try {
      if ((await this.#processId()) !== this.#process) throw otherSessionError()
    } catch (error) {
      this.#isLost = true
      clearInterval(this.#timer)
      this.#options.lost(error)
    }
  }
}

/** A pooler that gives each transaction another session of the server cannot hold it in backup mode. */
function otherSessionError(): RetakeError {
  return new RetakeError(
    'backup.refused',
    'The connection leads to changing sessions of the server (a pooler in transaction mode), which cannot keep it in backup mode.',
    { hint: 'Connect to the server itself, or run: retake backup --via replication' },
  )
}
