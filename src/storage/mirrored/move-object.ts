/** Copying one object between places with bounded memory. */
import { RetakeError } from '../../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../object-store.ts'

const PIECE_BYTES = 4 * 1024 * 1024

export interface MoveOptions {
  readonly key: string
  /** Under another key; used for evidence. Default: the same. */
  readonly toKey?: string | undefined
  readonly sizeBytes: number
}

/**
 * Copies an object; false when the destination has one of that name already.
 * @throws RetakeError `storage.failed` when it is not there whole; nothing is visible at the destination then
 */
export async function copyObject(from: ObjectReader, to: ObjectStore, options: MoveOptions): Promise<boolean> {
  const { key, toKey = key, sizeBytes } = options
  if (sizeBytes <= PIECE_BYTES) {
    const bytes = await from.get(key)
    if (bytes?.length !== sizeBytes) throw changed(options, bytes?.length)
    return await to.create(toKey, bytes)
  }
  await using writer = await to.openWriter(toKey)
  for (let offsetBytes = 0; offsetBytes < sizeBytes; offsetBytes += PIECE_BYTES) {
    const lengthBytes = Math.min(PIECE_BYTES, sizeBytes - offsetBytes)
    const bytes = await from.get(key, { offsetBytes, lengthBytes })
    if (bytes?.length !== lengthBytes) throw changed(options, bytes && offsetBytes + bytes.length)
    await writer.write(bytes)
  }
  return await writer.commit()
}

/** Whether two places hold the same bytes under a key. */
export async function isSameObject(left: ObjectReader, right: ObjectReader, key: string): Promise<boolean> {
  const [one, other] = await Promise.all([left.head(key), right.head(key)])
  if (one === undefined || other === undefined || one.sizeBytes !== other.sizeBytes) return false
  for (let offsetBytes = 0; offsetBytes < one.sizeBytes; offsetBytes += PIECE_BYTES) {
    const range = { offsetBytes, lengthBytes: Math.min(PIECE_BYTES, one.sizeBytes - offsetBytes) }
    const [a, b] = await Promise.all([left.get(key, range), right.get(key, range)])
    if (a === undefined || b === undefined || Buffer.compare(a, b) !== 0) return false
  }
  return true
}

function changed({ key, sizeBytes }: MoveOptions, found: number | undefined): RetakeError {
  return new RetakeError(
    'storage.failed',
    `${key} should have ${sizeBytes} bytes and ${found === undefined ? 'is gone' : `has ${found}`}; it was not copied.`,
    { details: { object: key } },
  )
}
