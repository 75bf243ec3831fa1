import { isRetakeError, RetakeError, systemErrorCode } from '../base/errors.ts'

export interface StorageFailure {
  /** What was being done, as in "Writing packs/ab/…". */
  readonly action: 'Reading' | 'Writing' | 'Listing' | 'Deleting' | 'Opening'
  /** The object, or the directory when it is about more than one. */
  readonly object: string
  readonly url: string
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])
const READ_ONLY = new Set(['EROFS', 'EACCES', 'EPERM'])
const NO_LINKS = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'])

/** Turns a system error into one that says what it means for the repository. */
export function storageError(error: unknown, failure: StorageFailure): RetakeError {
  if (isRetakeError(error)) return error
  const code = systemErrorCode(error)
  const what = `${failure.action} ${failure.object} in ${failure.url} failed`
  const options = { details: { object: failure.object, url: failure.url, systemCode: code }, cause: error }
  if (code !== undefined && FULL.has(code)) {
    return new RetakeError('storage.full', `${what}: no space is left (${code}). What was committed before is safe.`, {
      ...options,
      hint: 'Free space on the file system of the repository, then run the command again.',
    })
  }
  if (code !== undefined && READ_ONLY.has(code)) {
    const writing = failure.action === 'Writing' || failure.action === 'Deleting'
    return new RetakeError(
      'storage.read-only',
      writing
        ? `${what}: the repository cannot be written by this user (${code}). Nothing in it was changed.`
        : `${what}: the repository cannot be read by this user (${code}).`,
      { ...options, hint: 'Check the owner and the permissions of the directory, and how its file system is mounted.' },
    )
  }
  if (code !== undefined && NO_LINKS.has(code)) {
    return new RetakeError('storage.failed', `${what}: the file system has no hard links (${code}).`, {
      ...options,
      hint: 'Put the repository on a local file system such as ext4, XFS, ZFS or APFS.',
      retry: 'never',
    })
  }
  const reason = code ?? (error instanceof Error ? error.message : String(error))
  return new RetakeError('storage.failed', `${what} (${reason}). What was committed before is safe.`, options)
}

/** Refuses an operation after an earlier one on the same object has failed. */
export function brokenWriterError(object: string, url: string): RetakeError {
  return new RetakeError('storage.failed', `Writing ${object} in ${url} failed before; it cannot be continued.`, {
    details: { object, url },
  })
}

export function conflictError(object: string, url: string): RetakeError {
  return new RetakeError('repo.conflict', `${object} already exists in ${url}; it was not overwritten.`, {
    details: { object, url },
  })
}
