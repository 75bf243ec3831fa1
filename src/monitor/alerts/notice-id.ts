/** Ids of notices and incidents: the same for the same facts, so that deciding twice tells once. */
import { createHash } from 'node:crypto'

export function idOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}
