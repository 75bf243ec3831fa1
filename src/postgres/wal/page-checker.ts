import { RetakeError } from '../../base/errors.ts'
import { formatLsn, type Lsn } from '../lsn.ts'
import { parseWalPageHeader, type WalPageHeader } from './page-header.ts'

export interface PageCheckerOptions {
  readonly segmentSizeBytes: number
  readonly walBlockSizeBytes: number
  readonly timeline?: number | undefined
  readonly systemIdentifier?: string | undefined
}

/** Whether each page of the log is the one that should stand at its place. */
export class PageChecker {
  readonly #options: PageCheckerOptions
  #last: WalPageHeader | undefined

  constructor(options: PageCheckerOptions) {
    this.#options = options
  }

  get major(): number | undefined {
    return this.#last?.major
  }

  get timeline(): number | undefined {
    return this.#last?.timeline
  }

  /**
   * The header of the page at `lsn`, or why the log ends before it.
   * @throws RetakeError `wal.damaged`, `cluster.foreign`
   */
  check(header: Uint8Array, lsn: Lsn): WalPageHeader | 'zeros' | 'recycled-page' {
    const page = parseWalPageHeader(header)
    if (page === undefined) return 'zeros'
    // A recycled segment holds pages of its earlier use: an older position, or this one on a timeline that was left.
    if (page.pageLsn < lsn) return 'recycled-page'
    if (page.pageLsn > lsn) throw damaged(lsn, `says that it belongs at ${formatLsn(page.pageLsn)}`)
    if (page.timeline === 0) throw damaged(lsn, 'names no timeline')
    if (page.timeline < (this.#last?.timeline ?? 0)) return 'recycled-page'
    if (this.#last !== undefined && page.magic !== this.#last.magic) {
      throw damaged(lsn, `is of PostgreSQL ${page.major}, the pages before it of ${this.#last.major}`)
    }
    const { timeline } = this.#options
    if (timeline !== undefined && page.timeline > timeline) {
      throw damaged(lsn, `is on timeline ${page.timeline}, but timeline ${timeline} was asked for`)
    }
    this.#requireSegment(page, lsn)
    this.#last = page
    return page
  }

  #requireSegment(page: WalPageHeader, lsn: Lsn): void {
    const { segmentSizeBytes, walBlockSizeBytes, systemIdentifier } = this.#options
    const isFirst = lsn % BigInt(segmentSizeBytes) === 0n
    const { segment } = page
    if (isFirst !== (segment !== undefined)) {
      throw damaged(
        lsn,
        isFirst ? 'begins a segment but has no segment header' : 'has a segment header within a segment',
      )
    }
    if (segment === undefined) return
    if (systemIdentifier !== undefined && segment.systemIdentifier !== systemIdentifier) {
      throw new RetakeError(
        'cluster.foreign',
        `The WAL segment at ${formatLsn(lsn)} belongs to cluster ${segment.systemIdentifier}, not to ${systemIdentifier}.`,
        {
          hint: 'Check which server this WAL comes from; it is not used.',
          details: { systemIdentifier: segment.systemIdentifier },
        },
      )
    }
    if (segment.segmentSizeBytes !== segmentSizeBytes || segment.walBlockSizeBytes !== walBlockSizeBytes) {
      throw damaged(
        lsn,
        `is of segments of ${segment.segmentSizeBytes} and blocks of ${segment.walBlockSizeBytes} bytes, not of ${segmentSizeBytes} and ${walBlockSizeBytes}`,
      )
    }
  }
}

function damaged(lsn: bigint, problem: string): RetakeError {
  return new RetakeError(
    'wal.damaged',
    `The WAL page at ${formatLsn(lsn)} ${problem}. What comes after it cannot be replayed.`,
    {
      details: { lsn: formatLsn(lsn) },
    },
  )
}
