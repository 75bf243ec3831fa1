import type { RetakeError } from '../base/errors.ts'

/** What each exit status means; a test keeps it in step with `base/error-codes.ts`. A status that is not listed means failure. */
export const exitStatuses: readonly (readonly [status: number, meaning: string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'the command line or the configuration cannot be used'],
  [10, 'no such repository, cluster, backup or drill'],
  [11, 'busy: another process holds the lease'],
  [12, 'wrong key or credentials, or a privilege is missing'],
  [20, 'the target is outside the recovery window'],
  [21, 'a gap in the WAL, or a missing timeline history'],
  [22, 'refused by a check; nothing was changed'],
  [23, 'a confirmation is missing'],
  [30, 'damage found: stored bytes or restored files are not what was written'],
  [31, 'a drill failed: the recovery that was rehearsed is not one'],
  [32, 'a drill could not be carried out on this machine, so nothing was shown'],
  [
    40,
    'unhealthy: `status`, `health` or `doctor` found what endangers recovery, or `schedules` a run that did not come',
  ],
  [41, 'unknown: `health` could not find out whether recovery is endangered, or `schedules` whether a run came'],
  [50, 'a program that is needed is not on this machine'],
  [124, 'a time limit ran out'],
  [130, 'interrupted'],
]

/** PostgreSQL takes a status of 1 to 125 from a restore_command for "there is no more WAL" and ends recovery (rule R7). */
export const RESTORE_COMMAND_FAILED = 126

/**
 * True when the command line asks for `wal get`, whose failures must never look like the end of the archive, whatever goes wrong:
 * also a misspelt option.
 */
export function isRestoreCommand(argv: readonly string[]): boolean {
  const wal = argv.indexOf('wal')
  return wal >= 0 && argv.indexOf('get', wal) > wal
}

export function exitStatusOf(error: RetakeError, argv: readonly string[]): number {
  return isRestoreCommand(argv) ? Math.max(RESTORE_COMMAND_FAILED, error.exitCode) : error.exitCode
}
