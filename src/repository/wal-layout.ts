/** The keys of the WAL archive of one cluster, and what they say. */
import type { Lsn } from '../postgres/lsn.ts'
import { clusterPrefix, hex } from './layout.ts'
import type { ContainerKind } from './sealing.ts'

export interface SegmentId {
  readonly timeline: number
  readonly segment: bigint
  /** The last, incomplete segment of a timeline that was left. */
  readonly partial: boolean
}

/** Consecutive finished segments of one timeline, both ends included. */
export interface SegmentStretch {
  readonly timeline: number
  readonly first: bigint
  readonly last: bigint
}

export interface TailId {
  readonly timeline: number
  readonly segment: bigint
}

export interface TailPartId extends TailId {
  /** Where the part begins inside the segment. */
  readonly offsetBytes: number
  /** Eight digits that tell parts of the same place apart. */
  readonly random: string
}

export const walPrefix = (cluster: string) => `${clusterPrefix(cluster)}wal/`
const timelinePrefix = (cluster: string, timeline: number) => `${walPrefix(cluster)}${hex(timeline, 8)}/`

export function segmentName(cluster: string, id: SegmentId): { readonly key: string; readonly kind: ContainerKind } {
  const key = `${timelinePrefix(cluster, id.timeline)}${hex(id.segment, 16)}`
  return id.partial ? { key: `${key}.partial`, kind: 'walPartial' } : { key, kind: 'walSegment' }
}

export const tailPrefix = (cluster: string, id: TailId) =>
  `${timelinePrefix(cluster, id.timeline)}tail/${hex(id.segment, 16)}-`
export const tailPartKey = (cluster: string, id: TailPartId) =>
  `${tailPrefix(cluster, id)}${hex(id.offsetBytes, 8)}-${id.random}`
export const rangeKey = (cluster: string, range: { readonly timeline: number; readonly begin: Lsn }) =>
  `${timelinePrefix(cluster, range.timeline)}ranges/${hex(range.begin, 16)}`
export const historyKey = (cluster: string, timeline: number) => `${walPrefix(cluster)}history/${hex(timeline, 8)}`
export const positionKey = (cluster: string) => `${walPrefix(cluster)}position`

export type WalKey =
  | ({ readonly type: 'segment' } & SegmentId)
  | ({ readonly type: 'tail' } & TailPartId)
  | { readonly type: 'range'; readonly timeline: number; readonly begin: Lsn }
  | { readonly type: 'history'; readonly timeline: number }
  | { readonly type: 'position' }

const SEGMENT_NAME_LENGTH = 25
const PARTIAL = '.partial'
const TAIL = /^([0-9A-F]{8})\/tail\/([0-9A-F]{16})-([0-9A-F]{8})-([0-9a-f]{8})$/
const RANGE = /^([0-9A-F]{8})\/ranges\/([0-9A-F]{16})$/
const HISTORY = /^history\/([0-9A-F]{8})$/

/** What a key below `wal/` is, or undefined when it is none of Retake's. */
export function parseWalKey(cluster: string, key: string): WalKey | undefined {
  const name = key.slice(walPrefix(cluster).length)
  if (name === 'position') return { type: 'position' }
  const segment = parseSegment(name)
  if (segment) return segment
  const tail = TAIL.exec(name)
  if (tail) {
    const [, timeline = '', number = '', offset = '', random = ''] = tail
    return {
      type: 'tail',
      timeline: hexNumber(timeline),
      segment: hexBigInt(number),
      offsetBytes: hexNumber(offset),
      random,
    }
  }
  const range = RANGE.exec(name)
  if (range) return { type: 'range', timeline: hexNumber(range[1] ?? ''), begin: BigInt(`0x${range[2]}`) as Lsn }
  const history = HISTORY.exec(name)
  return history ? { type: 'history', timeline: hexNumber(history[1] ?? '') } : undefined
}

/** Without an expression, because there may be a million of them: `<timeline>/<segment>`, or the same with `.partial`. */
function parseSegment(name: string): WalKey | undefined {
  const partial = name.length === SEGMENT_NAME_LENGTH + PARTIAL.length && name.endsWith(PARTIAL)
  if ((name.length !== SEGMENT_NAME_LENGTH && !partial) || name[8] !== '/') return undefined
  for (let at = 0; at < SEGMENT_NAME_LENGTH; at += 1) {
    if (at !== 8 && !isUpperHexDigit(name.charCodeAt(at))) return undefined
  }
  const segment = hexBigInt(name.slice(9, SEGMENT_NAME_LENGTH))
  return { type: 'segment', timeline: hexNumber(name.slice(0, 8)), segment, partial }
}

/** How many of a segment's digits change while the rest of its key stays the same. */
const COUNTING_DIGITS = 4

/**
 * Recognises the key of the segment that follows the last one, without taking it apart: a million of them are listed in their order,
 * and of 65,536 neighbours only the last digits differ.
 */
export class SegmentSequence {
  #stem = ''
  #keyLength = -1
  #nextDigits = 0

  /** The key of a finished segment with which the sequence goes on. */
  restart(key: string): void {
    this.#keyLength = key.length
    this.#stem = key.slice(0, -COUNTING_DIGITS)
    this.#nextDigits = hexNumber(key.slice(-COUNTING_DIGITS)) + 1
  }

  /** True for the key of the next segment, which is the last one from then on. */
  continuesWith(key: string): boolean {
    if (key.length !== this.#keyLength || !key.startsWith(this.#stem)) return false
    let digits = 0
    for (let at = this.#stem.length; at < key.length; at += 1) {
      const code = key.charCodeAt(at)
      if (!isUpperHexDigit(code)) return false
      digits = digits * 16 + code - (code < 65 ? 48 : 55)
    }
    if (digits !== this.#nextDigits) return false
    this.#nextDigits += 1
    return true
  }
}

/** 0 to 9 or A to F. */
function isUpperHexDigit(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 70)
}

/** Numbers of segments are far below 2^53, and by way of a number it takes a third of the time. */
function hexBigInt(digits: string): bigint {
  const number = hexNumber(digits)
  return Number.isSafeInteger(number) ? BigInt(number) : BigInt(`0x${digits}`)
}

function hexNumber(digits: string): number {
  return Number.parseInt(digits, 16)
}
