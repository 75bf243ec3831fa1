import { randomBytes } from 'node:crypto'

/** A random identifier: `bytes` × 2 hexadecimal digits. */
export function randomId(bytes = 16): string {
  return randomBytes(bytes).toString('hex')
}

/** An identifier that sorts by time: `20261122T090411Z-` and eight random digits. */
export function timeOrderedId(now: Date): string {
  return `${now.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')}-${randomId(4)}`
}
