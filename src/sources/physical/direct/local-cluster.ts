/**
 * Finds out whether the files of a server can be read here, and proves that they are its files. A path proves nothing: it may
 * lead to a copy, a standby, or another machine's server. What proves it is the control file, which must change as the server
 * says that it changes, and the time at which the server says that it was started.
 */
import { access, constants, readFile, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { isRetakeError, systemErrorCode } from '../../../base/errors.ts'
import { type ControlFile, parseControlFile } from '../../../postgres/control-file.ts'
import { formatLsn, parseLsn } from '../../../postgres/lsn.ts'
import { readPostmasterFile } from '../../../postgres/server/postmaster-file.ts'
import type { TablespaceInfo } from '../../../repository/manifest.ts'
import type { ServerLine } from '../server-line.ts'
import { networkFileSystemOf } from './network-file-system.ts'

export interface LocalCluster {
  readonly dataDirectory: string
  readonly systemIdentifier: string
  /** Those outside of PGDATA. */
  readonly tablespaces: readonly TablespaceInfo[]
  /** The name of the server's own directory in each tablespace. */
  readonly tablespaceDirectory: string
}

/** `reason`: a sentence that says why the files are not read. */
export type LocalFinding =
  | { readonly kind: 'found'; readonly cluster: LocalCluster }
  | { readonly kind: 'not-usable'; readonly reason: string }

type Asker = Pick<ServerLine, 'query'>

interface DirectFacts {
  /** Hidden from roles that may not know. */
  readonly dataDirectory: string | null
  readonly startedAtSeconds: number
  readonly mayBackUp: boolean
  readonly mayStatFiles: boolean
}

const FACTS_QUERY = `
  select (select setting from pg_settings where name = 'data_directory') as "dataDirectory",
         extract(epoch from pg_postmaster_start_time())::float8 as "startedAtSeconds",
         has_function_privilege('pg_backup_start(text, boolean)', 'execute')
           and has_function_privilege('pg_backup_stop(boolean)', 'execute') as "mayBackUp",
         has_function_privilege('pg_stat_file(text)', 'execute') as "mayStatFiles"`

/** What a server says of its own control file; the functions read the file each time. */
export interface ControlMark {
  readonly systemIdentifier: string
  readonly checkpointLsn: string
  readonly redoLsn: string
  readonly minRecoveryLsn: string
}

const CONTROL_QUERY = `
  select (select system_identifier::text from pg_control_system()) as "systemIdentifier",
         c.checkpoint_lsn::text as "checkpointLsn", c.redo_lsn::text as "redoLsn",
         (select min_recovery_end_lsn::text from pg_control_recovery()) as "minRecoveryLsn"
    from pg_control_checkpoint() c`

/** A server with much shared memory takes a while from its first line to its start time. */
const LONGEST_START_SECONDS = 120

/** Finds the files of the server that `line` leads to. Only what breaks the connection is an error; all else is a reason. */
export async function findLocalCluster(line: Asker): Promise<LocalFinding> {
  try {
    return await find(line)
  } catch (error) {
    const reason = reasonOf(error)
    if (reason === undefined) throw error
    return { kind: 'not-usable', reason }
  }
}

/**
 * Proves once more that the files are the server's: called when the backup has begun, which has moved the checkpoint of a
 * primary, and when everything was read.
 * @returns why not, or undefined when it is proven
 */
export async function disproveLocalCluster(line: Asker, dataDirectory: string): Promise<string | undefined> {
  const before = markOf(await readControlFile(dataDirectory))
  const [server] = await line.query<ControlMark>(CONTROL_QUERY)
  const after = markOf(await readControlFile(dataDirectory))
  if (server && isBetween(server, before, after)) return undefined
  return `${dataDirectory} on this machine belongs to another server: its control file is not the one that the server reads.`
}

async function find(line: Asker): Promise<LocalFinding> {
  const unusable = (reason: string): LocalFinding => ({ kind: 'not-usable', reason })
  const [facts] = await line.query<DirectFacts>(FACTS_QUERY)
  const dataDirectory = facts?.dataDirectory
  if (!facts || !dataDirectory)
    return unusable('This role may not see where the server keeps its data (GRANT pg_read_all_settings allows it).')
  if (!facts.mayBackUp) return unusable('This role may not execute pg_backup_start and pg_backup_stop.')
  const unreadable = await whyUnreadable(dataDirectory, dataDirectory)
  if (unreadable) return unusable(unreadable)
  const control = await readControlFile(dataDirectory)
  const foreign = (await whyOtherServer(dataDirectory, facts)) ?? (await disproveLocalCluster(line, dataDirectory))
  if (foreign) return unusable(foreign)
  const tablespaces = await readTablespaces(line)
  for (const tablespace of tablespaces) {
    const reason = await whyTablespaceUnusable(line, { tablespace, dataDirectory, mayStatFiles: facts.mayStatFiles })
    if (reason) return unusable(reason)
  }
  return {
    kind: 'found',
    cluster: {
      dataDirectory,
      systemIdentifier: control.systemIdentifier,
      tablespaces,
      tablespaceDirectory: `PG_${control.major}_${control.catalogVersion}`,
    },
  }
}

/** A wrong file may be readable by chance; that single files are closed to us shows when they are read. */
async function whyUnreadable(directory: string, dataDirectory: string): Promise<string | undefined> {
  try {
    await access(directory, constants.R_OK | constants.X_OK)
    if (directory === dataDirectory) await access(join(directory, 'global', 'pg_control'), constants.R_OK)
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT'
      ? `${directory} is not on this machine.`
      : `${directory} is closed to this user.`
  }
  const network = await networkFileSystemOf(directory)
  return network && `${directory} is on a network file system (${network}), which may show files late.`
}

async function whyOtherServer(dataDirectory: string, facts: DirectFacts): Promise<string | undefined> {
  const running = await readPostmasterFile(dataDirectory)
  const startSeconds = running?.startedAtSeconds
  if (startSeconds === undefined) return `No server runs in ${dataDirectory} on this machine.`
  const tookSeconds = facts.startedAtSeconds - startSeconds
  // The file knows whole seconds.
  if (tookSeconds > -1 && tookSeconds < LONGEST_START_SECONDS) return undefined
  return `Another server runs in ${dataDirectory} on this machine: it was started at another time.`
}

async function readTablespaces(line: Asker): Promise<TablespaceInfo[]> {
  const rows = await line.query<{ oid: number; location: string }>(
    `select oid::int8::float8 as oid, pg_tablespace_location(oid) as location from pg_tablespace order by oid`,
  )
  return rows.filter(({ location }) => isAbsolute(location))
}

/** The server and this machine must see the same directory; names can lead to different places in containers. */
async function whyTablespaceUnusable(
  line: Asker,
  context: {
    readonly tablespace: TablespaceInfo
    readonly dataDirectory: string
    readonly mayStatFiles: boolean
  },
): Promise<string | undefined> {
  const { tablespace, dataDirectory, mayStatFiles } = context
  const path = `pg_tblspc/${tablespace.oid}`
  const unreadable = await whyUnreadable(join(dataDirectory, path), dataDirectory)
  if (unreadable) return unreadable
  if (!mayStatFiles)
    return `This role may not execute pg_stat_file, so nothing proves that ${tablespace.location} is the server's tablespace.`
  const { ctimeMs } = await stat(join(dataDirectory, path))
  const [server] = await line.query<{ changedAtSeconds: number }>(
    'select extract(epoch from change)::float8 as "changedAtSeconds" from pg_stat_file($1)',
    [path],
  )
  if (server?.changedAtSeconds === Math.floor(ctimeMs / 1000)) return undefined
  return `${tablespace.location} on this machine is not the server's tablespace.`
}

export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  return parseControlFile(await readControlBytes(dataDirectory))
}

/** A server rewrites the file in place, so a reader may see half of two versions; read again, it is whole. */
const CONTROL_ATTEMPTS = 20

/** @throws RetakeError `postgres.protocol` when the file is damaged for good, `postgres.unsupported` */
export async function readControlBytes(dataDirectory: string): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const bytes = await readFile(join(dataDirectory, 'global', 'pg_control'))
    try {
      parseControlFile(bytes)
      return bytes
    } catch (error) {
      if (attempt === CONTROL_ATTEMPTS || !isRetakeError(error, 'postgres.protocol')) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, attempt))
  }
}

function markOf(control: ControlFile): ControlMark {
  const { systemIdentifier, checkpointLsn, redoLsn, minRecoveryLsn } = control
  return {
    systemIdentifier,
    checkpointLsn: formatLsn(checkpointLsn),
    redoLsn: formatLsn(redoLsn),
    minRecoveryLsn: formatLsn(minRecoveryLsn),
  }
}

/** Positions in a control file only grow, so what the server read in between lies between what we read. */
export function isBetween(server: ControlMark, before: ControlMark, after: ControlMark): boolean {
  const grows = (field: 'checkpointLsn' | 'redoLsn' | 'minRecoveryLsn') =>
    parseLsn(before[field]) <= parseLsn(server[field]) && parseLsn(server[field]) <= parseLsn(after[field])
  const identifiers = new Set([server.systemIdentifier, before.systemIdentifier, after.systemIdentifier])
  return identifiers.size === 1 && grows('checkpointLsn') && grows('redoLsn') && grows('minRecoveryLsn')
}

/** The sentence for what made the files unusable; undefined for what is wrong with the connection. */
function reasonOf(error: unknown): string | undefined {
  if (isRetakeError(error)) {
    return error.code === 'postgres.privilege' || error.code === 'postgres.protocol' ? error.message : undefined
  }
  const code = systemErrorCode(error)
  return code !== undefined && error instanceof Error
    ? `The files of the server cannot be read: ${error.message}`
    : undefined
}
