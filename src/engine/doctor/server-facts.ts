/** What the server tells about itself through SQL. Whatever this role may not see is undefined, never guessed. */
import { isRetakeError } from '../../base/errors.ts'
import type { SqlConnection } from '../../postgres/connection/sql-connection.ts'
import { findLocalCluster, type LocalFinding } from '../../sources/physical/direct/local-cluster.ts'
import { querySlotStatus, type SlotStatus } from '../../sources/physical/slot-status.ts'

export interface ServerFacts {
  readonly serverVersionNum: number
  /** By name; a setting that this role may not see is absent. */
  readonly settings: ReadonlyMap<string, string>
  readonly role: RoleFacts
  /** The address the server sees us at, and whether the connection is encrypted; undefined address: a Unix socket. */
  readonly client: { readonly address?: string | undefined; readonly encrypted: boolean }
  readonly inRecovery: boolean
  readonly walSenderCount: number
  readonly slotCount: number
  readonly slot: SlotStatus
  readonly slotName: string
  readonly walDirectoryBytes: number | undefined
  readonly archiver: { readonly failing: boolean; readonly lastFailedWal?: string | undefined } | undefined
  /** Server's clock minus ours, in the middle of the round trip. */
  readonly clockOffsetMs: number
  readonly clockUncertaintyMs: number
  /** Whether backups can read the files of the server here; if not, why. */
  readonly files: LocalFinding
  /** Files outside the data directory that settings come from. */
  readonly includedFiles: readonly string[]
}

export interface RoleFacts {
  readonly name: string
  readonly superuser: boolean
  readonly replication: boolean
  readonly readsAllSettings: boolean
  readonly monitors: boolean
  readonly readsFiles: boolean
}

const ROLE_QUERY = `
  select rolname as "name", rolsuper as "superuser", rolreplication as "replication",
         rolsuper or pg_has_role(rolname, 'pg_read_all_settings', 'usage') as "readsAllSettings",
         rolsuper or pg_has_role(rolname, 'pg_monitor', 'usage') as "monitors",
         has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') as "readsFiles"
    from pg_roles where rolname = current_user`

const STATE_QUERY = `
  select pg_is_in_recovery() as "inRecovery", inet_client_addr()::text as "address",
         coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as "encrypted",
         (select count(*)::int from pg_stat_replication) as "walSenderCount",
         (select count(*)::int from pg_replication_slots) as "slotCount"`

const ARCHIVER_QUERY = `
  select coalesce(last_failed_time > last_archived_time, last_failed_time is not null) as "failing",
         last_failed_wal as "lastFailedWal" from pg_stat_archiver`

interface StateRow {
  readonly inRecovery: boolean
  readonly address: string | null
  readonly encrypted: boolean
  readonly walSenderCount: number
  readonly slotCount: number
}

export async function gatherServerFacts(
  sql: SqlConnection,
  options: { readonly slotName: string; readonly nowMs: () => number },
): Promise<ServerFacts> {
  const settings = await sql.query<{ name: string; setting: string; sourcefile: string | null }>(
    'select name, setting, sourcefile from pg_settings where setting is not null',
  )
  const [role] = await sql.query<RoleFacts>(ROLE_QUERY)
  const [state] = await sql.query<StateRow>(STATE_QUERY)
  if (!role || !state) throw new Error('assertion failed: the server answered without a row')
  const slot = await querySlotStatus(sql, options.slotName)
  const [walDirectory] = await ifAllowed(
    sql.query<{ bytes: string }>('select coalesce(sum(size), 0)::text as bytes from pg_ls_waldir()'),
  )
  const [archiver] = await sql.query<{ failing: boolean; lastFailedWal: string | null }>(ARCHIVER_QUERY)
  const clock = await measureClock(sql, options.nowMs)
  const dataDirectory = settings.find(({ name }) => name === 'data_directory')?.setting
  return {
    serverVersionNum: sql.serverVersionNum,
    settings: new Map(settings.map(({ name, setting }) => [name, setting])),
    role,
    client: { address: state.address?.replace(/\/\d+$/, '') ?? undefined, encrypted: state.encrypted },
    inRecovery: state.inRecovery,
    walSenderCount: state.walSenderCount,
    slotCount: state.slotCount,
    slot,
    slotName: options.slotName,
    walDirectoryBytes: walDirectory ? Number(walDirectory.bytes) : undefined,
    archiver: archiver && { failing: archiver.failing, lastFailedWal: archiver.lastFailedWal ?? undefined },
    ...clock,
    files: await findLocalCluster(sql),
    includedFiles: outsideFiles(settings, dataDirectory),
  }
}

/** The shortest of three round trips: the others waited for something that is not the clock. */
async function measureClock(
  sql: SqlConnection,
  nowMs: () => number,
): Promise<{ clockOffsetMs: number; clockUncertaintyMs: number }> {
  let best = { clockOffsetMs: 0, clockUncertaintyMs: Number.POSITIVE_INFINITY }
  for (let round = 0; round < 3; round++) {
    const beforeMs = nowMs()
    const [row] = await sql.query<{ ms: string }>('select (extract(epoch from clock_timestamp()) * 1000)::text as ms')
    const halfMs = (nowMs() - beforeMs) / 2
    if (row && halfMs < best.clockUncertaintyMs) {
      best = { clockOffsetMs: Number(row.ms) - (beforeMs + halfMs), clockUncertaintyMs: halfMs }
    }
  }
  return best
}

function outsideFiles(
  settings: readonly { readonly name: string; readonly sourcefile: string | null }[],
  dataDirectory: string | undefined,
): string[] {
  const files = settings
    .map(({ sourcefile }) => sourcefile)
    .filter((file): file is string => file !== null && file !== '')
  return [...new Set(files)]
    .filter((file) => dataDirectory === undefined || !file.startsWith(`${dataDirectory}/`))
    .sort()
}

/** A privilege that is missing is an answer of its own; any other error is passed on. */
async function ifAllowed<R>(query: Promise<R[]>): Promise<R[]> {
  try {
    return await query
  } catch (error) {
    if (isRetakeError(error) && error.details.sqlState === '42501') return []
    throw error
  }
}
