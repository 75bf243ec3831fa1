/**
 * What a base backup leaves out of a data directory, by name: the same that the server leaves out of its own stream
 * (src/backend/backup/basebackup.c; https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP-DATA).
 */

/** `last`: after everything else was read. `empty`: the directory is kept, its content is not. `wal`: as `empty`, with its directories. */
export type Treatment = 'take' | 'leave-out' | 'last' | 'empty' | 'wal'

/** Directories whose content belongs to the running server alone; they must exist when it starts. */
const EMPTY_DIRECTORIES: ReadonlySet<string> = new Set([
  'pg_stat_tmp',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
])

/** Files of the running server, and those that the backup makes itself. */
const LEFT_OUT_FILES: ReadonlySet<string> = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles.tmp',
  'backup_label',
  'tablespace_map',
  'backup_manifest',
  'postmaster.pid',
  'postmaster.opts',
  '.DS_Store',
])

/** Caches that a server builds anew, and files of queries that are running. */
const LEFT_OUT_PREFIXES = ['pg_internal.init', 'pgsql_tmp'] as const

const DATABASE_DIRECTORY = /^(?:base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)$/
const TEMPORARY_RELATION = /^t\d+_\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/
const RELATION = /^(\d+)(?:_(fsm|vm|init))?(?:\.\d+)?$/

/**
 * @param directory relative to PGDATA, `/`-separated, without a slash at the end; empty for PGDATA itself
 * @param name of the entry in it
 * @param options.names everything in that directory: the initial fork of a relation tells that it is unlogged
 */
export function treatmentOf(
  directory: string,
  name: string,
  options: { readonly names: ReadonlySet<string> },
): Treatment {
  if (LEFT_OUT_FILES.has(name) || LEFT_OUT_PREFIXES.some((prefix) => name.startsWith(prefix))) return 'leave-out'
  if (DATABASE_DIRECTORY.test(directory)) {
    if (TEMPORARY_RELATION.test(name) || isUnlogged(name, options.names)) return 'leave-out'
  }
  if (directory === 'global' && name === 'pg_control') return 'last'
  if (EMPTY_DIRECTORIES.has(name)) return 'empty'
  return directory === '' && name === 'pg_wal' ? 'wal' : 'take'
}

/** A crash empties an unlogged relation, so only the fork it begins with is of use. */
function isUnlogged(name: string, names: ReadonlySet<string>): boolean {
  const [, relation, fork] = RELATION.exec(name) ?? []
  return relation !== undefined && fork !== 'init' && names.has(`${relation}_init`)
}
