import { randomBytes } from 'node:crypto'

/** A random identifier: `bytes` × 2 hexadecimal digits. */
export function randomId(bytes = 16): string {
  return randomBytes(bytes).toString('hex')
}

/** An identifier that sorts by time: `20261122T090411Z-` and eight random digits. */
export function timeOrderedId(now: Date): string {
  return `${now.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')}-${randomId(4)}`
}

/** One that sorts after `before`: within the same second, or with a clock that was set back, it names the second after that one's. */
export function timeOrderedIdAfter(now: Date, before: string | undefined): string {
  const id = timeOrderedId(now)
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(before ?? '') ?? []
  if (before === undefined || year === undefined || id.slice(0, 16) > before.slice(0, 16)) return id
  const last = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return timeOrderedId(new Date(last + 1_000))
}
