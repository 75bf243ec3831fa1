/**
 * Log sequence numbers and the names of WAL segments.
 * https://www.postgresql.org/docs/current/datatype-pg-lsn.html, https://www.postgresql.org/docs/current/wal-internals.html
 */
import { RetakeError } from '../base/errors.ts'

/** A byte position in the write-ahead log. */
export type Lsn = bigint & { readonly __brand: 'Lsn' }

export const ZERO_LSN = 0n as Lsn

export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text.trim())
  if (!match) {
    throw new RetakeError('target.invalid', `"${text}" is not an LSN.`, {
      hint: 'Write it as PostgreSQL prints it: 0/3000060.',
    })
  }
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

export interface SegmentPosition {
  readonly timeline: number
  /** The number of the segment since the beginning of the log. */
  readonly segment: bigint
}

export function segmentOf(lsn: bigint, segmentSizeBytes: number): bigint {
  return lsn / BigInt(segmentSizeBytes)
}

export function segmentStart(segment: bigint, segmentSizeBytes: number): Lsn {
  return (segment * BigInt(segmentSizeBytes)) as Lsn
}

export function segmentOffset(lsn: bigint, segmentSizeBytes: number): number {
  return Number(lsn % BigInt(segmentSizeBytes))
}

/** `000000010000000000000003`: timeline, then the segment's number in two halves whose split depends on the segment size. */
export function segmentName(position: SegmentPosition, segmentSizeBytes: number): string {
  const perId = 0x1_0000_0000n / BigInt(segmentSizeBytes)
  return hex8(BigInt(position.timeline)) + hex8(position.segment / perId) + hex8(position.segment % perId)
}

export function parseSegmentName(name: string, segmentSizeBytes: number): SegmentPosition | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined
  const perId = 0x1_0000_0000n / BigInt(segmentSizeBytes)
  const high = BigInt(`0x${name.slice(8, 16)}`)
  const low = BigInt(`0x${name.slice(16)}`)
  if (low >= perId) return undefined
  return { timeline: Number.parseInt(name.slice(0, 8), 16), segment: high * perId + low }
}

/** `00000002.history` */
export function historyName(timeline: number): string {
  return `${timelineName(timeline)}.history`
}

/** The eight digits that name a timeline. */
export function timelineName(timeline: number): string {
  return hex8(BigInt(timeline))
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}
