import { bodyPieces } from '../keys.ts'
import type { ObjectBody } from '../object-store.ts'

/**
 * A copy of what is written: a place that hangs may look at the bytes long after everybody else has gone on, and their owner uses them for
 * something else, or gives their memory back.
 */
export function ownBytes(body: ObjectBody): Uint8Array {
  return Buffer.concat(bodyPieces(body))
}
