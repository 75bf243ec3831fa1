/** Asks a server how much it has to do. Reads statistics only, waits for no lock, and counts nothing of Retake's own. */
import { availableParallelism, loadavg } from 'node:os'
import { isRetakeError } from '../../base/errors.ts'
import { findLocalCluster } from '../../sources/physical/direct/local-cluster.ts'
import { ServerLine } from '../../sources/physical/server-line.ts'
import { defaultSlotName } from '../config-options.ts'
import type { RetakeSettings } from '../open.ts'
import type { ServerLoad } from './judge-load.ts'

const CONNECT_TIMEOUT_MS = 5_000

/**
 * Sessions that work are told to those alone who may read statistics. Waiting for an advisory lock is how programs wait for their turn; a
 * subscriber that is slow, and our own receiver, say nothing of the server.
 * https://www.postgresql.org/docs/current/monitoring-stats.html
 */
const QUERY = `
  select case when pg_has_role(current_user, 'pg_read_all_stats', 'usage') then
           (select count(*)::int4 from pg_stat_activity
             where backend_type = 'client backend' and state in ('active', 'fastpath function call')
               and pid <> pg_backend_pid() and application_name not like 'retake %') end as "active",
         (select setting::int4 from pg_settings where name = 'max_connections') as "most",
         (select extract(epoch from max(r.flush_lag))::float8 from pg_stat_replication r
             left join pg_replication_slots s on s.active_pid = r.pid
           where r.state = 'streaming' and s.slot_type is distinct from 'logical'
             and s.slot_name is distinct from $1) as "standbyLagSeconds",
         (select extract(epoch from clock_timestamp() - min(waitstart))::float8 from pg_locks
           where not granted and locktype <> 'advisory') as "lockWaitSeconds"`

interface LoadRow {
  readonly active: number | null
  readonly most: number
  readonly standbyLagSeconds: number | null
  readonly lockWaitSeconds: number | null
}

type Settings = Pick<RetakeSettings, 'target' | 'config' | 'clusterName'>

export class LoadMeter implements AsyncDisposable {
  readonly #line: ServerLine
  readonly #slotName: string
  #isHere: boolean | undefined

  constructor({ target, config, clusterName }: Settings, { signal }: { readonly signal: AbortSignal }) {
    this.#slotName = config.slot ?? defaultSlotName(clusterName)
    this.#line = new ServerLine(target(), {
      applicationName: 'retake load',
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      signal,
    })
  }

  /** @throws RetakeError `postgres.*`, `aborted` when it cannot be asked; that it has no connection free is an answer */
  async measure(): Promise<ServerLoad> {
    try {
      const [row] = await this.#line.query<LoadRow>(QUERY, [this.#slotName])
      return { isFull: false, ...(row ? loadOf(row) : {}), ...(await this.#machine()) }
    } catch (error) {
      if (isFull(error)) return { isFull: true }
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#line[Symbol.asyncDispose]()
  }

  /** The load of this machine concerns the server only when its files are proven to be here. */
  async #machine(): Promise<Pick<ServerLoad, 'machine'>> {
    this.#isHere ??= (await findLocalCluster(this.#line)).kind === 'found'
    const [loadAverage = 0] = loadavg()
    return this.#isHere ? { machine: { loadAverage, processors: availableParallelism() } } : {}
  }
}

function loadOf({ active, most, standbyLagSeconds, lockWaitSeconds }: LoadRow): Omit<ServerLoad, 'isFull'> {
  return {
    ...(active === null ? {} : { sessions: { active, most } }),
    ...(standbyLagSeconds === null ? {} : { standbyLagSeconds }),
    ...(lockWaitSeconds === null ? {} : { lockWaitSeconds }),
  }
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: too_many_connections */
function isFull(error: unknown): boolean {
  return isRetakeError(error) && error.details.sqlState === '53300'
}
