import { RetakeError } from './errors.ts'

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)$/i

/** Microseconds since 1970-01-01T00:00:00Z: PostgreSQL's resolution, which a `Date` would round. */
export type InstantMicros = bigint & { readonly __brand: 'InstantMicros' }

/**
 * Reads an instant; the offset is required (R12), because a time without one means different moments on two machines.
 * @throws RetakeError `target.invalid`
 */
export function parseInstant(text: string): InstantMicros {
  const match = INSTANT.exec(text.trim())
  if (!match) throw invalid(text)
  const [, year, month, day, hour, minute, second = '00', fraction = '', offset = 'Z'] = match
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.000${normaliseOffset(offset)}`)
  if (Number.isNaN(millis) || Number(day) > daysInMonth(Number(year), Number(month))) throw invalid(text)
  return (BigInt(millis) * 1000n + BigInt(fraction.padEnd(6, '0'))) as InstantMicros
}

/** `2026-11-22T09:04:11.482913Z`; microseconds are printed only as far as they are needed. */
export function formatInstant(instant: InstantMicros): string {
  const micros = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n
  const whole = new Date(Number((instant - micros) / 1000n)).toISOString().slice(0, 19)
  const fraction = micros.toString().padStart(6, '0')
  return `${whole}.${fraction.endsWith('000') ? fraction.slice(0, 3) : fraction}Z`
}

export function instantFromDate(date: Date): InstantMicros {
  return (BigInt(date.getTime()) * 1000n) as InstantMicros
}

/** PostgreSQL counts microseconds from 2000-01-01 (`TimestampTz`). https://www.postgresql.org/docs/current/datatype-datetime.html */
export const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n

function normaliseOffset(offset: string): string {
  if (/^z$/i.test(offset)) return 'Z'
  const digits = offset.replace(':', '').slice(1).padEnd(4, '0')
  return `${offset[0]}${digits.slice(0, 2)}:${digits.slice(2)}`
}

function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function invalid(text: string): RetakeError {
  return new RetakeError('target.invalid', `"${text}" is not an instant with an offset.`, {
    hint: 'Write it as 2026-11-22T09:04:11.482Z, or with an offset such as 2026-11-22T10:04:11+01:00.',
  })
}
