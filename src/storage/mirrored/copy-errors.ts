/** Why the copies of a repository cannot be used as asked. */
import { RetakeError } from '../../base/errors.ts'
import type { Copy } from './copy.ts'

export function fenced(): RetakeError {
  return new RetakeError(
    'storage.failed',
    'Another copy was made primary, which need not hold what this process has written or read; it must begin anew.',
    { hint: 'Run the command again.', retry: 'never' },
  )
}

export function notConfigured(names: readonly string[]): RetakeError {
  return new RetakeError(
    'config.invalid',
    `The repository has a copy that is not configured here: ${names.join(', ')}. It would miss what is written.`,
    {
      hint: 'Add it to `mirrors` in the configuration, or give it up: retake repo mirrors --forget NAME',
      details: { copies: names },
    },
  )
}

export function lostItself(copy: Copy): RetakeError {
  return new RetakeError(
    'storage.failed',
    `The place of the copy "${copy.name}" (${copy.url}) does not hold the repository any more.`,
    { hint: 'Check whether its file system is mounted, or its bucket is the right one.', details: { copy: copy.name } },
  )
}
