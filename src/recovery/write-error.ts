import { RetakeError, systemErrorCode, toRetakeError } from '../base/errors.ts'

/** What writing into a target directory can run into. */
export function writeError(error: unknown): RetakeError {
  if (systemErrorCode(error) === 'ENOSPC' || systemErrorCode(error) === 'EDQUOT') {
    return new RetakeError(
      'storage.full',
      'The filesystem of the target directory is full. What was laid out cannot start as a server.',
      {
        hint: 'Free space or choose another place, then apply the plan again: what an interrupted restore left is no obstacle.',
        cause: error,
      },
    )
  }
  return toRetakeError(error, 'storage.failed')
}
