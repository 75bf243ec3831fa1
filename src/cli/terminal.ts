/**
 * Data goes to stdout, everything else to stderr: messages, warnings, progress, questions. On a terminal the progress is one line
 * that is drawn over; elsewhere it is one line per phase.
 */
import { styleText } from 'node:util'
import type { Clock } from '../base/clock.ts'
import type { Logger, Progress, ProgressListener } from '../base/progress.ts'
import { advanceMeter, type MeterState, renderMeter, renderPhase } from './progress.ts'

export interface OutputStream {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export interface TerminalOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly json: boolean
  /** -1 quiet: errors only. 0: warnings and progress. 1: everything. */
  readonly verbosity: -1 | 0 | 1
  readonly color: boolean | undefined
}

/** The line is drawn over at most this often. */
const REDRAW_MS = 100

export class Terminal {
  readonly #options: TerminalOptions
  #meter: MeterState | undefined
  #drawnMs = Number.NEGATIVE_INFINITY
  #lineShown = false
  readonly logger: Logger

  constructor(options: TerminalOptions) {
    this.#options = options
    const log =
      (level: -1 | 0 | 1, prefix: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
        if (options.verbosity >= level) this.note(`${prefix}${message}${renderLogFields(fields)}`)
      }
    this.logger = { debug: log(1, ''), info: log(1, ''), warn: log(0, 'warning: '), error: log(-1, 'error: ') }
  }

  /** Prints data. */
  data(text: string): void {
    this.clearLine()
    this.#options.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }

  /** A message for the person, not part of the data; silenced by `--quiet`. */
  info(text: string): void {
    if (this.#options.verbosity >= 0) this.note(text)
  }

  /** A line on stderr, whatever the verbosity. */
  note(text: string): void {
    this.clearLine()
    this.#options.stderr.write(`${text}\n`)
  }

  readonly onProgress: ProgressListener = (progress: Progress) => {
    if (this.#options.verbosity < 0) return
    const nowMs = this.#options.clock.monotonicMs()
    const begun = this.#meter?.phase !== progress.phase
    this.#meter = advanceMeter(this.#meter, progress, nowMs)
    if (!this.#drawsOver) {
      if (begun) this.#options.stderr.write(`${renderPhase(progress)}\n`)
      return
    }
    if (!begun && nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    this.#lineShown = true
    this.#options.stderr.write(`\r\x1b[2K${renderMeter(this.#meter, this.#options.stderr.columns ?? 80)}`)
  }

  /** Progress of work that reports in its own lines: drawn on a terminal, and left out elsewhere. */
  readonly onLineProgress: ProgressListener = (progress: Progress) => {
    if (this.#drawsOver) this.onProgress(progress)
  }

  /** Takes the progress line off the screen; the next step draws it again. */
  clearLine(): void {
    if (!this.#lineShown) return
    this.#lineShown = false
    this.#options.stderr.write('\r\x1b[2K')
  }

  /** Colours a word of the data, where colours are wanted. Colour never is the only carrier of a meaning. */
  paint(format: Parameters<typeof styleText>[0], text: string): string {
    return !this.#options.json && wantsColor(this.#options.stdout, this.#options)
      ? styleText(format, text, { validateStream: false })
      : text
  }

  get #drawsOver(): boolean {
    return this.#options.stderr.isTTY === true && this.#options.env.TERM !== 'dumb'
  }
}

/** `--no-color` wins, then `NO_COLOR`, then `FORCE_COLOR`; else a terminal that is not dumb. https://no-color.org */
export function wantsColor(
  stream: OutputStream,
  options: { readonly env: NodeJS.ProcessEnv; readonly color: boolean | undefined },
): boolean {
  if (options.color === false) return false
  if (options.env.NO_COLOR) return false
  if (options.env.FORCE_COLOR) return options.env.FORCE_COLOR !== '0'
  return stream.isTTY === true && options.env.TERM !== 'dumb'
}

function renderLogFields(fields: Readonly<Record<string, unknown>> | undefined): string {
  if (!fields) return ''
  const text = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'bigint' ? value : JSON.stringify(value)}`,
  )
  return text.length === 0 ? '' : ` (${text.join(', ')})`
}
