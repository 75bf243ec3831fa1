/** Reads what a recovering server says in its log (with lc_messages C): PostgreSQL's own account of where it stopped. */
import { open } from 'node:fs/promises'
import { systemErrorCode } from '../base/errors.ts'
import { type Lsn, parseLsn } from '../postgres/lsn.ts'

/** What has been said so far. Source: src/backend/access/transam/xlogrecovery.c, xlog.c. */
export interface RecoveryFacts {
  readonly redoStartLsn?: Lsn | undefined
  readonly consistentLsn?: Lsn | undefined
  /** `recovery stopping …`, as PostgreSQL words it. */
  readonly stopping?: string | undefined
  /** The record it names, when it stops at a position. */
  readonly stoppingLsn?: Lsn | undefined
  /** The start of the record at which replay ended. */
  readonly redoDoneLsn?: Lsn | undefined
  readonly replayMs?: number | undefined
  /** As PostgreSQL prints it. */
  readonly lastTransactionAt?: string | undefined
  readonly newTimeline?: number | undefined
  readonly recoveryComplete?: boolean | undefined
  readonly ready?: boolean | undefined
  readonly paused?: boolean | undefined
  readonly shutDownAtTarget?: boolean | undefined
  /** The target lies beyond the end of the WAL, or before consistency. */
  readonly targetNotReached?: string | undefined
  readonly fatal?: string | undefined
}

const LSN = '([0-9A-F]{1,8}/[0-9A-F]{1,8})'

const RULES: readonly (readonly [RegExp, (match: RegExpExecArray) => Partial<RecoveryFacts>])[] = [
  [new RegExp(`LOG: {2}redo starts at ${LSN}`), ([, lsn = '']) => ({ redoStartLsn: parseLsn(lsn) })],
  [
    new RegExp(`LOG: {2}consistent recovery state reached at ${LSN}`),
    ([, lsn = '']) => ({ consistentLsn: parseLsn(lsn) }),
  ],
  [
    /LOG: {2}(recovery stopping (?:after WAL location \(LSN\) "([0-9A-F/]+)")?.*)$/,
    ([, stopping = '', lsn]) => ({ stopping, ...(lsn === undefined ? {} : { stoppingLsn: parseLsn(lsn) }) }),
  ],
  [
    new RegExp(`LOG: {2}redo done at ${LSN}(?:.* elapsed: ([\\d.]+) s)?`),
    ([, lsn = '', seconds]) => ({
      redoDoneLsn: parseLsn(lsn),
      ...(seconds === undefined ? {} : { replayMs: Math.round(Number(seconds) * 1000) }),
    }),
  ],
  [/LOG: {2}last completed transaction was at log time (.*)$/, ([, at = '']) => ({ lastTransactionAt: at })],
  [/LOG: {2}selected new timeline ID: (\d+)/, ([, timeline = '']) => ({ newTimeline: Number(timeline) })],
  [/LOG: {2}archive recovery complete/, () => ({ recoveryComplete: true })],
  [/LOG: {2}database system is ready to accept connections/, () => ({ ready: true })],
  [/LOG: {2}pausing at the end of recovery/, () => ({ paused: true })],
  [/LOG: {2}shutdown at recovery target/, () => ({ shutDownAtTarget: true })],
  [
    /FATAL: {2}((?:recovery ended before configured recovery target|requested recovery stop point is before consistent).*)$/,
    ([, text = '']) => ({ targetNotReached: text, fatal: text }),
  ],
  // A client that came too early.
  [/FATAL: {2}the database system is /, () => ({})],
  [/(?:FATAL|PANIC): {2}(.*)$/, ([, text = '']) => ({ fatal: text })],
]

/** The facts with what one more line of the log adds. */
export function noteLine(facts: RecoveryFacts, line: string): RecoveryFacts {
  for (const [pattern, take] of RULES) {
    const match = pattern.exec(line)
    // The first FATAL names the cause; what follows are its consequences.
    if (match) return { ...facts, ...take(match), ...(facts.fatal === undefined ? {} : { fatal: facts.fatal }) }
  }
  return facts
}

/** Follows a log file; each look reads only what is new. */
export class RecoveryLog {
  readonly #file: string
  #position: number
  #rest = ''
  #facts: RecoveryFacts = {}

  /** @param beginBytes what was in the file before belongs to an earlier start of the server */
  constructor(file: string, beginBytes = 0) {
    this.#file = file
    this.#position = beginBytes
  }

  get facts(): RecoveryFacts {
    return this.#facts
  }

  async look(): Promise<RecoveryFacts> {
    let handle: Awaited<ReturnType<typeof open>>
    try {
      handle = await open(this.#file, 'r')
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return this.#facts
      throw error
    }
    await using _closing = handle
    const buffer = Buffer.alloc(64 * 1024)
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#position)
      if (bytesRead === 0) return this.#facts
      this.#position += bytesRead
      const lines = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#facts = noteLine(this.#facts, line)
    }
  }
}
