/** Which entries of a backup a restore leaves out. */
import { CONTROL_FILE } from './backup-survey.ts'
import { LOG_NAME, MARKER, SPOOL } from './target-directory.ts'

/**
 * Not restored: the control file (comes last), PostgreSQL's own list of tablespaces (it would lead to their original places;
 * the links are made here), what makes a server a standby, and what a running server left.
 */
const LEFT_OUT: ReadonlySet<string> = new Set([
  CONTROL_FILE,
  'tablespace_map',
  'standby.signal',
  'recovery.signal',
  'postmaster.pid',
  'postmaster.opts',
  MARKER,
  LOG_NAME,
])

export function isLeftOut(entryPath: string): boolean {
  // The lock of a socket that was in the data directory would keep the server from starting.
  return LEFT_OUT.has(entryPath) || entryPath.startsWith('.s.PGSQL.') || entryPath.split('/')[0] === SPOOL
}
