/** What must be true of a server before it is backed up, read once at the beginning. */
import { RetakeError } from '../../base/errors.ts'
import type { ClusterFacts } from '../../repository/cluster.ts'
import type { DatabaseVersion } from '../../repository/manifest.ts'
import type { ServerLine } from './server-line.ts'

export interface ServerSettings {
  readonly serverVersionNum: number
  readonly dataChecksums: boolean
  readonly blockSizeBytes: number
  /** Blocks in one file of a relation. */
  readonly relationSegmentBlocks: number
  readonly walSegmentSizeBytes: number
  /** On a standby: what the primary wrote at the checkpoint from which the backup would begin. */
  readonly fullPageWrites: boolean
  readonly inRecovery: boolean
  /** Whether this role may read single blocks again, which tells a torn page from a corrupt one. */
  readonly mayReadFiles: boolean
  /** The server keeps summaries of what its log touched. */
  readonly summarizesWal: boolean
}

const SETTINGS_QUERY = `
  select current_setting('server_version_num')::int as "serverVersionNum",
         current_setting('data_checksums') = 'on' as "dataChecksums",
         current_setting('block_size')::int as "blockSizeBytes",
         (select setting::int from pg_settings where name = 'segment_size') as "relationSegmentBlocks",
         (select setting::int from pg_settings where name = 'wal_segment_size') as "walSegmentSizeBytes",
         case when pg_is_in_recovery() then (select full_page_writes from pg_control_checkpoint())
              else current_setting('full_page_writes') = 'on' end as "fullPageWrites",
         pg_is_in_recovery() as "inRecovery",
         has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') as "mayReadFiles",
         coalesce(current_setting('summarize_wal', true) = 'on', false) as "summarizesWal"`

export async function readServerSettings(line: ServerLine): Promise<ServerSettings> {
  const [settings] = await line.query<ServerSettings>(SETTINGS_QUERY)
  if (!settings) throw new RetakeError('postgres.protocol', 'The server did not answer a query for its settings.')
  return settings
}

/** The server's clock, ISO 8601 UTC. */
export async function readServerTime(line: ServerLine): Promise<string> {
  const [row] = await line.query<{ now: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
  )
  if (!row) throw new RetakeError('postgres.protocol', 'The server did not say what time it is.')
  return row.now
}

/** The databases, each with what tells it from another one that has its oid later: which transaction made its row. */
export async function readDatabases(line: ServerLine): Promise<DatabaseVersion[]> {
  return await line.query<DatabaseVersion>(
    'select oid::bigint::float8 as oid, xmin::text as version from pg_database order by oid',
  )
}

/**
 * @throws RetakeError `cluster.foreign`: another cluster answers at this address.
 */
export function assertSameCluster(facts: ClusterFacts, systemIdentifier: string): void {
  if (facts.systemIdentifier === systemIdentifier) return
  throw new RetakeError(
    'cluster.foreign',
    `This server is not the cluster "${facts.name}": its system identifier is ${systemIdentifier}, ` +
      `and the repository was set up for ${facts.systemIdentifier}. Nothing was written, so what is held stays restorable.`,
    {
      hint: 'Check the address of the server. A new cluster gets a name of its own: retake init --cluster NAME.',
      details: { cluster: facts.name, expected: facts.systemIdentifier, found: systemIdentifier },
    },
  )
}

/**
 * @throws RetakeError `postgres.unsupported`, `backup.refused`
 */
export function assertBackupPossible(facts: ClusterFacts, settings: ServerSettings): void {
  if (settings.serverVersionNum < 150_000) {
    throw new RetakeError(
      'postgres.unsupported',
      `PostgreSQL ${majorOf(settings)} cannot be backed up: 15 is the oldest that is supported.`,
      {
        hint: 'Upgrade the server to PostgreSQL 15 or newer.',
      },
    )
  }
  if (!settings.fullPageWrites) {
    throw new RetakeError(
      'backup.refused',
      'full_page_writes is off on this server, so pages that are written during the backup could not be repaired by the log: the backup might not be restorable.',
      {
        hint: "Run on the primary: alter system set full_page_writes = 'on'; select pg_reload_conf(); and start the backup again.",
      },
    )
  }
  if (settings.walSegmentSizeBytes !== facts.walSegmentSizeBytes || settings.blockSizeBytes !== facts.blockSizeBytes) {
    throw new RetakeError(
      'backup.refused',
      `The server's WAL segments (${settings.walSegmentSizeBytes} bytes) or blocks (${settings.blockSizeBytes} bytes) have another size ` +
        `than when the cluster "${facts.name}" was set up (${facts.walSegmentSizeBytes}, ${facts.blockSizeBytes}).`,
      { hint: 'Set the server up under a new cluster name: retake init --cluster NAME.' },
    )
  }
}

function majorOf(settings: ServerSettings): number {
  return Math.floor(settings.serverVersionNum / 10_000)
}
