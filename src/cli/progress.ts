/** What a terminal shows of running work: amount, share, rate and time left. Pure; `terminal.ts` owns the screen. */
import type { Progress } from '../base/progress.ts'
import { formatBytes, formatDuration } from './format.ts'

/** The rate is measured over this much of the past, so that it follows a change within seconds and does not jump. */
const RATE_WINDOW_MS = 10_000

interface Sample {
  readonly atMs: number
  readonly done: number
}

/** The phase that is running and the samples its rate comes from. */
export interface MeterState {
  readonly phase: string
  readonly startedMs: number
  readonly samples: readonly Sample[]
  readonly latest: Progress
}

/** The next state after a step at `nowMs` (monotonic). A new phase, or an amount that went back, begins anew. */
export function advanceMeter(state: MeterState | undefined, progress: Progress, nowMs: number): MeterState {
  const sample = { atMs: nowMs, done: progress.done }
  if (!state || state.phase !== progress.phase || progress.done < state.latest.done) {
    return { phase: progress.phase, startedMs: nowMs, samples: [sample], latest: progress }
  }
  const recent = state.samples.filter(({ atMs }) => nowMs - atMs <= RATE_WINDOW_MS)
  // At most one sample for each tenth of a second: the list stays short whatever the pace of the reports.
  const last = recent.at(-1)
  const samples =
    last && recent.length > 1 && nowMs - last.atMs < 100 ? [...recent.slice(0, -1), sample] : [...recent, sample]
  return { ...state, samples, latest: progress }
}

/** Units per second over the window; undefined until there is enough to tell. */
export function meterRate(state: MeterState): number | undefined {
  const first = state.samples[0]
  const last = state.samples.at(-1)
  if (!first || !last || last.atMs - first.atMs < 500) return undefined
  return ((last.done - first.done) * 1000) / (last.atMs - first.atMs)
}

/** Time to the end at the present rate; undefined when the end or the rate is unknown. */
export function meterLeftMs(state: MeterState): number | undefined {
  const rate = meterRate(state)
  const { done, total } = state.latest
  if (total === undefined || !rate || rate <= 0 || total < done) return undefined
  return ((total - done) * 1000) / rate
}

/** One line no longer than `columns`: `copying files  1.20 GiB of 4.00 GiB  30 %  412 MiB/s  7.0 s left`. */
export function renderMeter(state: MeterState, columns: number): string {
  const { done, total, unit, message } = state.latest
  const amount = (value: number) => (unit === 'bytes' ? formatBytes(value) : `${value} ${unit}`)
  const rate = meterRate(state)
  const leftMs = meterLeftMs(state)
  const parts = [
    state.phase,
    total === undefined ? amount(done) : `${unit === 'bytes' ? amount(done) : done} of ${amount(total)}`,
    total ? `${Math.min(100, Math.floor((done * 100) / total))} %` : undefined,
    rate === undefined ? undefined : unit === 'bytes' ? `${formatBytes(rate)}/s` : `${rate.toFixed(1)}/s`,
    leftMs === undefined ? undefined : `${formatDuration(leftMs)} left`,
    message,
  ]
  return cutTo(parts.filter((part) => part !== undefined && part !== '').join('  '), columns)
}

/** What is printed once for each phase where there is no terminal. */
export function renderPhase(progress: Progress): string {
  const amount =
    progress.total === undefined
      ? ''
      : ` (${progress.unit === 'bytes' ? formatBytes(progress.total) : `${progress.total} ${progress.unit}`})`
  return `${progress.phase}${amount}${progress.message ? `: ${progress.message}` : ''}`
}

function cutTo(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`
}
