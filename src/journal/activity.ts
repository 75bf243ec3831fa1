/**
 * What was committed in each minute, and what is unusual about it: far more than before, or nothing at all where there always was
 * something. Pure; memory grows with the minutes in which something was committed.
 */
import type { InstantMicros } from '../base/instant.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { type JournalTransaction, positionOf } from './block.ts'
import type { Incident } from './incident.ts'

const MINUTE = 60_000_000n

/** Of commits in one minute of the server's clock. */
export interface ActivityMinute {
  /** Its beginning. */
  readonly at: InstantMicros
  readonly transactions: number
  /** Inserted, updated and deleted. */
  readonly rows: number
  readonly walBytes: number
}

interface Commit {
  readonly xid: number
  readonly at: InstantMicros
  /** Behind its record. */
  readonly lsn: Lsn
}

interface CountedMinute {
  transactions: number
  rows: number
  walBytes: number
  first: Commit
  last: Commit
}

/** So many minutes make a habit. */
const USUAL_MINUTES = 30
/** Without a commit for so long, after that. */
const SILENT_MINUTES = 10n
/** So much more than in the middle one of all minutes, and no less than this. */
const BURST_FACTOR = 10
const BURST_ROWS = 10_000

/** Of one stretch of the log without a hole: what is missing is not silence. */
export class Activity {
  readonly #minutes = new Map<bigint, CountedMinute>()

  add(transaction: JournalTransaction): void {
    const { end, outcome, xid, files, walBytes } = transaction
    if (outcome !== 'committed' || !end) return
    const commit = { xid, at: end.at, lsn: end.endLsn ?? positionOf(transaction) }
    const rows = files.reduce((sum, { inserted, updated, deleted }) => sum + inserted + updated + deleted, 0)
    const minute = end.at / MINUTE
    const known = this.#minutes.get(minute)
    if (!known) {
      this.#minutes.set(minute, { transactions: 1, rows, walBytes, first: commit, last: commit })
      return
    }
    known.transactions += 1
    known.rows += rows
    known.walBytes += walBytes
    // In the order of the log; the clock of a commit is read a moment before its record is written.
    known.last = commit
  }

  /** The oldest first; only those with a commit. */
  minutes(): ActivityMinute[] {
    return this.#sorted().map(([minute, { transactions, rows, walBytes }]) => ({
      ...{ at: (minute * MINUTE) as InstantMicros, transactions, rows, walBytes },
    }))
  }

  /** @param until up to when nothing more was committed; undefined: not known */
  incidents(until?: InstantMicros | undefined): Incident[] {
    return [...this.#bursts(), ...this.#silences(until)]
  }

  #bursts(): Incident[] {
    const sorted = this.#sorted()
    if (sorted.length < USUAL_MINUTES) return []
    const usual = sorted.map(([, { rows }]) => rows).sort((left, right) => left - right)[sorted.length >> 1] ?? 0
    const least = Math.max(BURST_ROWS, usual * BURST_FACTOR)
    const found: Incident[] = []
    for (let place = 0; place < sorted.length; place += 1) {
      const burst: CountedMinute[] = []
      let minute = sorted[place]?.[0] ?? 0n
      for (let next = sorted[place]; next && next[0] === minute && next[1].rows >= least; next = sorted[++place]) {
        burst.push(next[1])
        minute += 1n
      }
      const [first, last] = [burst[0]?.first, burst.at(-1)?.last]
      if (!first || !last) continue
      const rows = burst.reduce((sum, one) => sum + one.rows, 0)
      found.push({
        ...about(first),
        kind: 'burst',
        severity: 'info',
        what: `${rows.toLocaleString('en')} rows changed in ${minutesOf(burst.length)}, where ${usual.toLocaleString('en')} a minute are usual`,
        before: `before-xid:${first.xid}`,
        after: `lsn:${formatLsn(last.lsn)}`,
        weight: rows,
      })
    }
    return found
  }

  #silences(until: InstantMicros | undefined): Incident[] {
    const sorted = this.#sorted()
    const found: Incident[] = []
    let steady = 0
    for (const [index, [minute, { last }]] of sorted.entries()) {
      const previous = sorted[index - 1]
      steady = previous && previous[0] === minute - 1n ? steady + 1 : 1
      const next = sorted[index + 1]
      const end = next ? next[1].first.at : until
      if (steady < USUAL_MINUTES || end === undefined || end - last.at < SILENT_MINUTES * MINUTE) continue
      const lasted = Number((end - last.at) / MINUTE)
      found.push({
        ...about(last),
        kind: 'silence',
        severity: 'warning',
        what: `Writes stopped for ${minutesOf(lasted)}${next ? '' : ', and have not begun again'}`,
        before: `lsn:${formatLsn(last.lsn)}`,
        after: next ? `xid:${next[1].first.xid}` : `lsn:${formatLsn(last.lsn)}`,
        weight: lasted,
      })
    }
    return found
  }

  #sorted(): [bigint, CountedMinute][] {
    return [...this.#minutes].sort(([left], [right]) => (left < right ? -1 : 1))
  }
}

const about = ({ xid, at, lsn }: Commit) => ({ xid, at, lsn, tables: [], isPartial: false })

const minutesOf = (count: number): string => `${count.toLocaleString('en')} ${count === 1 ? 'minute' : 'minutes'}`
