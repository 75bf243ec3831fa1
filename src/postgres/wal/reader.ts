/**
 * Walks the records of a stretch of the write-ahead log, whatever pieces it comes in.
 *
 * Nothing is guessed: a record is given out only after its checksum was verified, every page header must fit its position, and
 * the end of the valid log is either recognised (a page or record of zeros, an old page of a recycled segment) or an error.
 * Memory does not grow with the length of records.
 */
import { RetakeError } from '../../base/errors.ts'
import { crc32cRange } from '../crc32c.ts'
import { crcWindow, WINDOW_BYTES } from '../kernel/crc-window.ts'
import { formatLsn, type Lsn } from '../lsn.ts'
import { align8, u32 } from './bytes.ts'
import { MainDataCollector } from './main-data-collector.ts'
import { PageChecker } from './page-checker.ts'
import { LONG_PAGE_HEADER_BYTES, PAGE_FLAGS, SHORT_PAGE_HEADER_BYTES } from './page-header.ts'
import {
  INFO_MASK,
  isResourceManager,
  RECORD_CHECKED_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_LIMIT_BYTES,
  RMGR_XLOG,
  type WalRecord,
  XLOG_SWITCH,
} from './record.ts'
import type { RecordParts } from './record-parts.ts'
import { copyRecord, lsnOf, WalRecordView } from './record-view.ts'

export interface WalReaderOptions {
  readonly segmentSizeBytes: number
  /** The position of the first byte that will be pushed. */
  readonly startLsn: Lsn
  /** Pages of a newer timeline are then refused. */
  readonly timeline?: number | undefined
  /** Segments of another cluster are then refused. */
  readonly systemIdentifier?: string | undefined
  /** Default 8192. */
  readonly walBlockSizeBytes?: number | undefined
  /** `startLsn` is known to be where a record begins. By default a start within a page skips to the next page. */
  readonly startsAtRecord?: boolean | undefined
  /** How much of a record's main data is kept; default 16 MiB. */
  readonly maxDataBytes?: number | undefined
  /** Records for which it is false are checked but not given out, which saves most of the time. Default: all. */
  readonly wanted?: ((rmgr: number, info: number) => boolean) | undefined
  /** Of which records what they hold of their blocks is wanted too, even where it does not lie in one piece. Default: none. */
  readonly keepsBlocks?: ((parts: RecordParts) => boolean) | undefined
}

/** Shown each record while it stands in the view. */
export type WalVisitor = (record: WalRecordView) => void

/** Why no more records come: the log was never written from here on, or holds what an earlier use of the segment left. */
export type WalEnd = 'zeros' | 'recycled-page'

/** A record whose bytes have not all come yet, or lie on more than one page. */
interface OpenRecord {
  readonly header: Uint8Array
  seenBytes: number
  /** 0 until the first four bytes are there. */
  totalBytes: number
  crc: number
  main: MainDataCollector | undefined
}

const DEFAULT_BLOCK_BYTES = 8192
const DEFAULT_MAX_DATA_BYTES = 16 * 1024 * 1024

export class WalReader {
  readonly #segmentBytes: number
  readonly #blockBytes: number
  readonly #maxDataBytes: number
  readonly #wanted: WalReaderOptions['wanted']
  readonly #keepsBlocks: WalReaderOptions['keepsBlocks']
  readonly #pages: PageChecker
  /** Loaded with what is pushed, and used only until all of that was taken. */
  readonly #sums = crcWindow()
  readonly #pageHeader = new Uint8Array(LONG_PAGE_HEADER_BYTES)
  #pageHeaderSeen = 0
  readonly #view = new WalRecordView()

  /** The segment that the next byte belongs to, and the byte's place in it: numbers, because a bigint for each step is slow. */
  #segmentHigh: number
  #segmentLow: number
  #offset: number
  /** Bytes to pass over, page headers and all. */
  #skipBytes = 0
  /** Bytes to pass over, not counting the page headers among them. */
  #skipContentBytes = 0
  /** False until the position of a record's beginning is known for certain. */
  #atRecord: boolean
  #open: OpenRecord | undefined
  /** Of the record that is being read. */
  #beginHigh = 0
  #beginLow = 0
  #hasPrevious = false
  #previousHigh = 0
  #previousLow = 0
  #validEndHigh: number
  #validEndLow: number
  #end: WalEnd | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(options: WalReaderOptions) {
    this.#segmentBytes = options.segmentSizeBytes
    this.#blockBytes = options.walBlockSizeBytes ?? DEFAULT_BLOCK_BYTES
    this.#maxDataBytes = options.maxDataBytes ?? DEFAULT_MAX_DATA_BYTES
    this.#wanted = options.wanted
    this.#keepsBlocks = options.keepsBlocks
    this.#pages = new PageChecker({ ...options, walBlockSizeBytes: this.#blockBytes })
    this.#offset = Number(options.startLsn % BigInt(this.#segmentBytes))
    const segmentLsn = options.startLsn - BigInt(this.#offset)
    this.#segmentHigh = Number(segmentLsn >> 32n)
    this.#segmentLow = Number(segmentLsn & 0xffffffffn)
    this.#validEndHigh = this.#segmentHigh
    this.#validEndLow = this.#segmentLow + this.#offset
    const pageOffset = this.#offset % this.#blockBytes
    this.#atRecord = pageOffset !== 0 && options.startsAtRecord === true
    if (pageOffset !== 0 && !this.#atRecord) this.#skipBytes = this.#blockBytes - pageOffset
  }

  /** The end of the last valid record: where the next one can begin. The start position while there was none. */
  get validEndLsn(): Lsn {
    return lsnOf(this.#validEndHigh, this.#validEndLow)
  }

  /** Undefined while more may come. */
  get end(): WalEnd | undefined {
    return this.#end
  }

  /** The major version that wrote the log; undefined before the first page header. */
  get major(): number | undefined {
    return this.#pages.major
  }

  /** The timeline of the newest page; undefined before the first page header. */
  get timeline(): number | undefined {
    return this.#pages.timeline
  }

  /**
   * Takes the next bytes and returns the records that they complete, in order. After the end of the log it returns nothing.
   * @throws RetakeError `wal.damaged` when a page or record is not what it should be, `cluster.foreign`; each later call throws it again
   */
  push(bytes: Uint8Array): WalRecord[] {
    const records: WalRecord[] = []
    this.visit(bytes, (view) => records.push(copyRecord(view)))
    return records
  }

  /**
   * As {@link push}, without an object for each record: the visitor is shown one after the other, each for the time of its call.
   * It must not push to a reader. When it throws, the reader cannot go on.
   */
  visit(bytes: Uint8Array, visitor: WalVisitor): void {
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      for (let start = 0; start < bytes.length; start += WINDOW_BYTES) {
        this.#take(bytes.subarray(start, start + WINDOW_BYTES), visitor)
      }
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  #take(bytes: Uint8Array, visitor: WalVisitor): void {
    this.#sums.load(bytes)
    let at = 0
    while (at < bytes.length && this.#end === undefined) at = this.#step(bytes, at, visitor)
  }

  /** Does one thing with the bytes from `at`, and returns where the next begins. */
  #step(bytes: Uint8Array, at: number, visitor: WalVisitor): number {
    if (this.#skipBytes > 0) {
      const count = Math.min(this.#skipBytes, bytes.length - at, this.#segmentBytes - this.#offset)
      this.#skipBytes -= count
      return this.#advance(at, count)
    }
    const pageOffset = this.#offset % this.#blockBytes
    if (pageOffset === 0 || this.#pageHeaderSeen > 0) return this.#takePageHeader(bytes, at)
    const available = Math.min(bytes.length - at, this.#blockBytes - pageOffset)
    if (this.#skipContentBytes > 0) {
      const count = Math.min(this.#skipContentBytes, available)
      this.#skipContentBytes -= count
      return this.#advance(at, count)
    }
    if (this.#open === undefined && available >= RECORD_HEADER_BYTES) {
      const totalBytes = u32(bytes, at)
      if (totalBytes >= RECORD_HEADER_BYTES && totalBytes <= available) return this.#takeWhole(bytes, at, visitor)
    }
    return this.#takePart(bytes.subarray(at, at + available), at, visitor)
  }

  #advance(at: number, count: number): number {
    this.#offset += count
    if (this.#offset === this.#segmentBytes) {
      this.#segmentLow += this.#segmentBytes
      if (this.#segmentLow === 0x1_0000_0000) {
        this.#segmentHigh += 1
        this.#segmentLow = 0
      }
      this.#offset = 0
    }
    return at + count
  }

  #lsn(): Lsn {
    return lsnOf(this.#segmentHigh, this.#segmentLow + this.#offset)
  }

  #takePageHeader(bytes: Uint8Array, at: number): number {
    const pageOffset = this.#pageHeaderSeen
    const headerBytes = this.#offset - pageOffset === 0 ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES
    const piece = bytes.subarray(at, at + headerBytes - this.#pageHeaderSeen)
    this.#pageHeader.set(piece, this.#pageHeaderSeen)
    this.#pageHeaderSeen += piece.length
    const next = this.#advance(at, piece.length)
    if (this.#pageHeaderSeen < headerBytes) return next
    this.#pageHeaderSeen = 0
    this.#enterPage((this.#lsn() - BigInt(headerBytes)) as Lsn, headerBytes)
    return next
  }

  /** Decides what the content of a page begins with. */
  #enterPage(pageLsn: Lsn, headerBytes: number): void {
    const page = this.#pages.check(this.#pageHeader.subarray(0, headerBytes), pageLsn)
    if (typeof page === 'string') {
      this.#end = page
      return
    }
    this.#view.major = page.major
    const continued = (page.flags & PAGE_FLAGS.continued) !== 0
    if (this.#open !== undefined) {
      if ((page.flags & PAGE_FLAGS.overwritesContinuation) !== 0) {
        // The server crashed before it had written the rest; the record never counted.
        this.#open = undefined
        return
      }
      const expected = this.#open.totalBytes - this.#open.seenBytes
      if (continued && page.remainingBytes === expected) return
      throw damaged(
        this.#beginLsn(),
        `goes on at ${formatLsn(pageLsn)} with ${page.remainingBytes} bytes instead of ${expected}`,
      )
    }
    if (!this.#atRecord || this.#skipContentBytes > 0) {
      this.#skipContentBytes = continued ? align8(page.remainingBytes) : 0
      this.#atRecord = true
    } else if (continued) {
      throw new RetakeError(
        'wal.damaged',
        `The WAL page at ${formatLsn(pageLsn)} continues a record that did not begin before it.`,
      )
    }
  }

  /** The fast way: the record lies in one piece on one page. */
  #takeWhole(bytes: Uint8Array, at: number, visitor: WalVisitor): number {
    const totalBytes = u32(bytes, at)
    const end = at + totalBytes
    this.#markBegin()
    this.#requireHeader(bytes, at)
    if (this.#sums.recordCrc32c(at, end) !== u32(bytes, at + RECORD_CHECKED_HEADER_BYTES)) {
      throw damaged(this.#beginLsn(), 'does not match its checksum')
    }
    const next = this.#advance(at, totalBytes)
    this.#close(bytes, at)
    if (!this.#isWanted(bytes, at)) return next
    const { parts } = this.#view
    const body = { begin: at + RECORD_HEADER_BYTES, end, bodyBytes: totalBytes - RECORD_HEADER_BYTES }
    if (!parts.read(bytes, body)) throw damaged(this.#beginLsn(), 'has part headers that do not decode')
    this.#view.main = bytes
    this.#view.mainBegin = end - parts.mainBytes
    this.#view.mainEnd = Math.min(end, end - parts.mainBytes + this.#maxDataBytes)
    this.#view.blocksBegin = this.#view.mainBegin - parts.blocksBytes
    this.#show(bytes, at, visitor)
    return next
  }

  /** The slow way: a part of a record, up to the end of the page or of what was pushed. */
  #takePart(piece: Uint8Array, at: number, visitor: WalVisitor): number {
    if (this.#open === undefined) {
      this.#markBegin()
      this.#open = { header: new Uint8Array(RECORD_HEADER_BYTES), seenBytes: 0, totalBytes: 0, crc: 0, main: undefined }
    }
    const open = this.#open
    let used = 0
    if (open.seenBytes < RECORD_HEADER_BYTES) {
      used = this.#takeHeaderPart(open, piece)
      if (this.#end !== undefined || open.seenBytes < RECORD_HEADER_BYTES) return this.#advance(at, used)
    }
    const body = piece.subarray(used, used + open.totalBytes - open.seenBytes)
    open.crc = this.#sums.crc32c({ begin: at + used, end: at + used + body.length, previous: open.crc })
    if (open.main?.add(body) === false) throw damaged(this.#beginLsn(), 'has part headers that do not decode')
    open.seenBytes += body.length
    const next = this.#advance(at, used + body.length)
    if (open.seenBytes === open.totalBytes) this.#finishOpen(open, visitor)
    return next
  }

  #takeHeaderPart(open: OpenRecord, piece: Uint8Array): number {
    const part = piece.subarray(0, RECORD_HEADER_BYTES - open.seenBytes)
    open.header.set(part, open.seenBytes)
    open.seenBytes += part.length
    if (open.seenBytes >= 4 && open.totalBytes === 0) {
      // Records begin at multiples of 8, so these four bytes are never on two pages.
      open.totalBytes = u32(open.header, 0)
      if (open.totalBytes === 0) this.#end = 'zeros'
      else if (open.totalBytes < RECORD_HEADER_BYTES || open.totalBytes > RECORD_LIMIT_BYTES) {
        throw damaged(this.#beginLsn(), `claims a length of ${open.totalBytes} bytes`)
      }
    }
    if (open.seenBytes === RECORD_HEADER_BYTES && this.#end === undefined) {
      this.#requireHeader(open.header, 0)
      if (this.#isWanted(open.header, 0)) {
        const keep = { maxDataBytes: this.#maxDataBytes, parts: this.#view.parts, keepsBlocks: this.#keepsBlocks }
        open.main = new MainDataCollector(open.totalBytes - RECORD_HEADER_BYTES, keep)
      }
    }
    return part.length
  }

  #finishOpen(open: OpenRecord, visitor: WalVisitor): void {
    const { header } = open
    const crc = crc32cRange(header, { begin: 0, end: RECORD_CHECKED_HEADER_BYTES, previous: open.crc })
    if (crc !== u32(header, RECORD_CHECKED_HEADER_BYTES)) throw damaged(this.#beginLsn(), 'does not match its checksum')
    this.#open = undefined
    this.#close(header, 0)
    if (open.main === undefined) return
    const main = open.main.finish()
    if (main === undefined) throw damaged(this.#beginLsn(), 'has part headers that do not decode')
    const { blocksBytes } = open.main
    this.#view.main = main
    this.#view.mainBegin = blocksBytes
    this.#view.mainEnd = main.length
    this.#view.blocksBegin = blocksBytes > 0 ? 0 : -1
    this.#show(header, 0, visitor)
  }

  /** Moves on to where the next record can begin; the position is just behind the record that ended. */
  #close(header: Uint8Array, at: number): void {
    const isSwitch = header[at + 17] === RMGR_XLOG && ((header[at + 16] as number) & INFO_MASK) === XLOG_SWITCH
    // The position may be the next segment's first byte, whose alignment is the same.
    const padding = align8(this.#offset) - this.#offset
    const rest = isSwitch && this.#offset > 0 ? this.#segmentBytes - this.#offset : padding
    this.#skipBytes = rest
    this.#hasPrevious = true
    this.#previousHigh = this.#beginHigh
    this.#previousLow = this.#beginLow
    this.#validEndHigh = this.#segmentHigh
    this.#validEndLow = this.#segmentLow + this.#offset + rest
  }

  /** Fills the rest of the view, whose parts and main data are there. */
  #show(header: Uint8Array, at: number, visitor: WalVisitor): void {
    const view = this.#view
    view.readHeader(header, at)
    view.beginHigh = this.#beginHigh
    view.beginLow = this.#beginLow
    view.endHigh = this.#validEndHigh
    view.endLow = this.#validEndLow
    visitor(view)
  }

  #isWanted(header: Uint8Array, at: number): boolean {
    return this.#wanted === undefined || this.#wanted(header[at + 17] as number, header[at + 16] as number)
  }

  /** The header itself is believed only when it names the record before it. */
  #requireHeader(header: Uint8Array, at: number): void {
    const rmgr = header[at + 17] as number
    if (!isResourceManager(rmgr)) {
      throw damaged(this.#beginLsn(), `names resource manager ${rmgr}, which does not exist`)
    }
    const high = u32(header, at + 12)
    const low = u32(header, at + 8)
    const fits = this.#hasPrevious
      ? high === this.#previousHigh && low === this.#previousLow
      : high < this.#beginHigh || (high === this.#beginHigh && low < this.#beginLow)
    if (!fits) throw damaged(this.#beginLsn(), `says that the record before it is at ${formatLsn(lsnOf(high, low))}`)
  }

  #markBegin(): void {
    this.#beginHigh = this.#segmentHigh
    this.#beginLow = this.#segmentLow + this.#offset
  }

  #beginLsn(): Lsn {
    return lsnOf(this.#beginHigh, this.#beginLow)
  }
}

function damaged(lsn: Lsn, problem: string): RetakeError {
  return new RetakeError(
    'wal.damaged',
    `The WAL record at ${formatLsn(lsn)} ${problem}. What comes after it cannot be replayed.`,
    { details: { lsn: formatLsn(lsn) } },
  )
}
