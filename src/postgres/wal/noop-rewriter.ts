/**
 * Turns records of the write-ahead log into XLOG_NOOP, which a replay passes over: same length, same place, same transaction id, same
 * checksum rule, so that everything else in the log stays as it is. `xlog_redo` does nothing for it
 * (src/backend/access/transam/xlog.c), and the server reads such a log about as fast as it can check it.
 *
 * Nothing is checked here, because the server checks every record that it replays; where the log cannot be followed (its end, or
 * damage), everything from there on is left as it is.
 */
import { CRC_TABLE } from '../crc32c.ts'
import { align8, u16, u32 } from './bytes.ts'
import { LONG_PAGE_HEADER_BYTES, PAGE_FLAGS, SHORT_PAGE_HEADER_BYTES } from './page-header.ts'
import { INFO_MASK, RECORD_HEADER_BYTES, RECORD_LIMIT_BYTES, RMGR_XLOG, XLOG_SWITCH } from './record.ts'
import { PART_HEADERS_LIMIT_BYTES, RecordParts } from './record-parts.ts'

export interface NoopRewriterOptions {
  readonly segmentSizeBytes: number
  /** The segment that is pushed first. */
  readonly firstSegment: bigint
  /** Default 8192. */
  readonly walBlockSizeBytes?: number | undefined
  /** Whether a record is to be passed over. What it is shown is of that record for the time of the call. */
  readonly isUnwanted: (record: RecordHead) => boolean
  /** What another rewriter knew at the beginning of the segment that this one begins with. */
  readonly state?: NoopRewriterState | undefined
}

/** The beginning of a record. */
export interface RecordHead {
  readonly rmgr: number
  readonly info: number
  readonly parts: RecordParts
  /** The record from `begin` on, at least its headers; all of it unless it is long. */
  readonly bytes: Uint8Array
  readonly begin: number
  /** As a number, because a bigint for each record is slow. */
  readonly lsn: number
}

/** What is known at the border of two segments. */
export interface NoopRewriterState {
  readonly skipBytes: number
  readonly contentBytes: number
  readonly isSynced: boolean
  readonly isSwitch: boolean
  readonly hasEnded: boolean
  /** Of a record whose headers are on both sides. */
  readonly head: { readonly bytes: Uint8Array; readonly lsn: number } | undefined
}

const HEAD_LIMIT_BYTES = RECORD_HEADER_BYTES + PART_HEADERS_LIMIT_BYTES
const DEFAULT_BLOCK_BYTES = 8192
const XLOG_NOOP = 0x20
const NOTHING = new Uint8Array(0)
/** Of a record's header. */
const AT = { info: 16, rmgr: 17, crc: 20 } as const
/** `xlp_rem_len`, of a page's. */
const REMAINING_AT = 16

interface MutableHead {
  rmgr: number
  info: number
  readonly parts: RecordParts
  bytes: Uint8Array
  begin: number
  lsn: number
}

export class NoopRewriter {
  readonly #segmentBytes: number
  readonly #blockBytes: number
  readonly #isUnwanted: (record: RecordHead) => boolean
  readonly #record: MutableHead = { rmgr: 0, info: 0, parts: new RecordParts(), bytes: NOTHING, begin: 0, lsn: 0 }
  /** Where the segment begins, and the place in it. */
  #segmentLsn: number
  #offset = 0
  readonly #pageHeader = new Uint8Array(LONG_PAGE_HEADER_BYTES)
  #pageHeaderSeen = 0
  #skipBytes: number
  /** Of the record that is being passed: without the headers of pages. */
  #contentBytes: number
  #isSwitch: boolean
  #isSynced: boolean
  #hasEnded: boolean
  /** The headers of a record that is in several pieces or on several pages, and where the bytes of its header lie. */
  readonly #head = new Uint8Array(HEAD_LIMIT_BYTES)
  #headLength: number
  #headLsn: number
  readonly #pieceOf: Uint8Array[] = []
  readonly #placeOf = new Int32Array(RECORD_HEADER_BYTES)
  #held: Uint8Array[] = []
  /** Among those that are held, the piece in which a record begins that is not decided yet. */
  #undecidedFrom = 0
  #rewritten = 0

  constructor({ segmentSizeBytes, firstSegment, walBlockSizeBytes, isUnwanted, state }: NoopRewriterOptions) {
    this.#segmentBytes = segmentSizeBytes
    this.#segmentLsn = Number(firstSegment) * segmentSizeBytes
    this.#blockBytes = walBlockSizeBytes ?? DEFAULT_BLOCK_BYTES
    this.#isUnwanted = isUnwanted
    this.#skipBytes = state?.skipBytes ?? 0
    this.#contentBytes = state?.contentBytes ?? 0
    this.#isSwitch = state?.isSwitch ?? false
    this.#isSynced = state?.isSynced ?? false
    this.#hasEnded = state?.hasEnded ?? false
    this.#headLength = state?.head?.bytes.length ?? 0
    this.#headLsn = state?.head?.lsn ?? 0
    if (state?.head) this.#head.set(state.head.bytes)
    // What was given on before cannot be changed any more, and was changed then.
    const before = new Uint8Array(1)
    for (let at = 0; at < RECORD_HEADER_BYTES; at += 1) this.#pieceOf.push(before)
  }

  /** How many records were turned. */
  get rewritten(): number {
    return this.#rewritten
  }

  /** Where everything of a segment has been pushed, and nothing of the next. */
  get state(): NoopRewriterState {
    return {
      skipBytes: this.#skipBytes,
      contentBytes: this.#contentBytes,
      isSynced: this.#isSynced,
      isSwitch: this.#isSwitch,
      hasEnded: this.#hasEnded,
      head: this.#headLength > 0 ? { bytes: this.#head.slice(0, this.#headLength), lsn: this.#headLsn } : undefined,
    }
  }

  /**
   * Takes the next bytes of the log, which are changed in place, also later.
   * @returns those pieces, in the order in which they came, that are not changed any more
   */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#held.push(bytes)
    if (this.#headLength === 0) this.#undecidedFrom = this.#held.length
    for (let at = 0; at < bytes.length && !this.#hasEnded; ) at = this.#step(bytes, at)
    const isUndecided = this.#headLength > 0 && !this.#hasEnded
    const free = this.#held.splice(0, isUndecided ? this.#undecidedFrom : this.#held.length)
    this.#undecidedFrom = 0
    return free
  }

  /** What is still held when no more comes. */
  end(): Uint8Array[] {
    return this.#held.splice(0)
  }

  /** Does one thing with the bytes from `at`, and returns where the next begins. */
  #step(bytes: Uint8Array, at: number): number {
    if (this.#skipBytes > 0) {
      const count = Math.min(this.#skipBytes, bytes.length - at, this.#segmentBytes - this.#offset)
      this.#skipBytes -= count
      return this.#advance(at, count)
    }
    const pageOffset = this.#offset % this.#blockBytes
    if (pageOffset === 0 || this.#pageHeaderSeen > 0) return this.#takePageHeader(bytes, at)
    const available = Math.min(bytes.length - at, this.#blockBytes - pageOffset)
    if (this.#contentBytes > 0) {
      const count = Math.min(this.#contentBytes, available)
      this.#contentBytes -= count
      const next = this.#advance(at, count)
      if (this.#contentBytes === 0) this.#endRecord()
      return next
    }
    if (this.#headLength === 0 && available >= RECORD_HEADER_BYTES) {
      const totalBytes = u32(bytes, at)
      if (totalBytes >= RECORD_HEADER_BYTES && totalBytes <= available) return this.#takeWhole(bytes, at, totalBytes)
    }
    return this.#takeHead(bytes, at, available)
  }

  #advance(at: number, count: number): number {
    this.#offset += count
    if (this.#offset === this.#segmentBytes) {
      this.#segmentLsn += this.#segmentBytes
      this.#offset = 0
    }
    return at + count
  }

  #takePageHeader(bytes: Uint8Array, at: number): number {
    const isFirst = this.#offset - this.#pageHeaderSeen === 0
    const headerBytes = isFirst ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES
    const piece = bytes.subarray(at, at + headerBytes - this.#pageHeaderSeen)
    this.#pageHeader.set(piece, this.#pageHeaderSeen)
    this.#pageHeaderSeen += piece.length
    const next = this.#advance(at, piece.length)
    if (this.#pageHeaderSeen < headerBytes) return next
    this.#pageHeaderSeen = 0
    this.#enterPage(headerBytes)
    return next
  }

  #enterPage(headerBytes: number): void {
    const [magic, flags] = [u16(this.#pageHeader, 0), u16(this.#pageHeader, 2)]
    if (magic === 0) {
      // Nothing was held of the segment up to here, or nothing was written from here on.
      if (this.#isSynced) this.#hasEnded = true
      else this.#skipBytes = this.#blockBytes - headerBytes
      return
    }
    if (!this.#isSynced) {
      this.#isSynced = true
      const isContinued = (flags & PAGE_FLAGS.continued) !== 0
      this.#contentBytes = isContinued ? u32(this.#pageHeader, REMAINING_AT) : 0
    } else if ((flags & PAGE_FLAGS.overwritesContinuation) !== 0) {
      // The server crashed before it had written the rest; the record never counted.
      this.#contentBytes = 0
      this.#headLength = 0
      this.#isSwitch = false
    }
  }

  /** The fast way: the record lies in one piece on one page. */
  #takeWhole(bytes: Uint8Array, at: number, totalBytes: number): number {
    this.#record.lsn = this.#segmentLsn + this.#offset
    if (this.#isPassedOver(bytes, { begin: at, end: at + totalBytes, totalBytes })) {
      const change = changeOf(bytes[at + AT.info] as number, bytes[at + AT.rmgr] as number)
      bytes[at + AT.info] = XLOG_NOOP
      bytes[at + AT.rmgr] = RMGR_XLOG
      for (let place = 0; place < 4; place += 1) {
        bytes[at + AT.crc + place] = (bytes[at + AT.crc + place] as number) ^ ((change >>> (8 * place)) & 0xff)
      }
    }
    const next = this.#advance(at, totalBytes)
    this.#endRecord()
    return next
  }

  /** The slow way: the headers are gathered, and it is noted where they lie. */
  #takeHead(bytes: Uint8Array, at: number, available: number): number {
    if (this.#headLength === 0) {
      this.#undecidedFrom = this.#held.length - 1
      this.#headLsn = this.#segmentLsn + this.#offset
    }
    const known = this.#headLength < 4 ? 4 : Math.min(u32(this.#head, 0), HEAD_LIMIT_BYTES)
    const count = Math.min(available, known - this.#headLength)
    for (let index = 0; index < count; index += 1) {
      const place = this.#headLength + index
      this.#head[place] = bytes[at + index] as number
      if (place >= RECORD_HEADER_BYTES) continue
      this.#pieceOf[place] = bytes
      this.#placeOf[place] = at + index
    }
    this.#headLength += count
    const next = this.#advance(at, count)
    if (this.#headLength < 4) return next
    const totalBytes = u32(this.#head, 0)
    if (totalBytes < RECORD_HEADER_BYTES || totalBytes > RECORD_LIMIT_BYTES) this.#hasEnded = true
    else if (this.#headLength === Math.min(totalBytes, HEAD_LIMIT_BYTES)) this.#decide(totalBytes)
    return next
  }

  #decide(totalBytes: number): void {
    const end = this.#headLength
    this.#record.lsn = this.#headLsn
    if (this.#isPassedOver(this.#head, { begin: 0, end, totalBytes })) {
      const change = changeOf(this.#head[AT.info] as number, this.#head[AT.rmgr] as number)
      this.#set(AT.info, XLOG_NOOP)
      this.#set(AT.rmgr, RMGR_XLOG)
      for (let place = 0; place < 4; place += 1) {
        this.#set(AT.crc + place, (this.#head[AT.crc + place] as number) ^ ((change >>> (8 * place)) & 0xff))
      }
    }
    this.#headLength = 0
    this.#contentBytes = totalBytes - end
    if (this.#contentBytes === 0) this.#endRecord()
  }

  #set(place: number, value: number): void {
    const piece = this.#pieceOf[place]
    if (piece) piece[this.#placeOf[place] as number] = value
  }

  #isPassedOver(
    bytes: Uint8Array,
    { begin, end, totalBytes }: { readonly begin: number; readonly end: number; readonly totalBytes: number },
  ): boolean {
    const record = this.#record
    record.rmgr = bytes[begin + AT.rmgr] as number
    record.info = bytes[begin + AT.info] as number
    record.bytes = bytes
    record.begin = begin
    this.#isSwitch = record.rmgr === RMGR_XLOG && (record.info & INFO_MASK) === XLOG_SWITCH
    const body = { begin: begin + RECORD_HEADER_BYTES, end, bodyBytes: totalBytes - RECORD_HEADER_BYTES }
    // Part headers that do not decode are the server's to refuse.
    if (!record.parts.read(bytes, body) || !this.#isUnwanted(record)) return false
    this.#rewritten += 1
    return true
  }

  /** The position is just behind a record. */
  #endRecord(): void {
    const rest = this.#isSwitch ? this.#segmentBytes - this.#offset : align8(this.#offset) - this.#offset
    this.#skipBytes = this.#offset === 0 ? 0 : rest
    this.#isSwitch = false
  }
}

/**
 * What the checksum of a record changes by when its kind does. CRC-32C is linear: the difference of two checksums depends only on the
 * difference of what they are of, and the two bytes that differ are, with two of padding, the last that go into it.
 */
function changeOf(info: number, rmgr: number): number {
  let crc = 0
  for (const byte of [info ^ XLOG_NOOP, rmgr ^ RMGR_XLOG, 0, 0]) {
    crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  }
  return crc
}
