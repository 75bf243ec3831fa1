/** The stress of a cluster's server: asked before a scheduled backup begins, and watched while it runs. */
import { throwIfAborted } from '../base/abort.ts'
import { attempt } from '../base/attempt.ts'
import { toRetakeError } from '../base/errors.ts'
import type { Logger, ProgressListener } from '../base/progress.ts'
import { judgeLoad, type LoadLimits, loadLimits } from '../engine/load/judge-load.ts'
import { LoadMeter } from '../engine/load/load-meter.ts'
import { ReadGate } from '../engine/load/read-gate.ts'
import type { Retake } from '../engine/open.ts'
import { forever } from './forever.ts'

const ANSWERS_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 10_000

interface Ask {
  readonly limits: LoadLimits
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** Each reason as part of a sentence. Empty: there is none, or the server could not be asked, which the run will find as well. */
export async function readStress(retake: Retake, ask: Ask): Promise<readonly string[]> {
  try {
    await using meter = new LoadMeter(retake, ask)
    return await askOnce(meter, ask)
  } catch (error) {
    throwIfAborted(ask.signal)
    ask.logger.debug(`How much the server has to do is not known: ${toRetakeError(error).message}`)
    return []
  }
}

async function askOnce(meter: LoadMeter, { limits, signal, logger }: Ask): Promise<readonly string[]> {
  const asked = await attempt(() => meter.measure(), {
    limitMs: ANSWERS_WITHIN_MS,
    what: 'reading the statistics of the server',
    hint: 'See whether the server is overloaded.',
    signal,
  })
  if ('value' in asked) return judgeLoad(asked.value, limits)
  const { error } = asked
  if (error.code === 'timeout') return [`no answer within ${ANSWERS_WITHIN_MS / 1000} s`]
  logger.debug(`How much the server has to do is not known: ${error.message}`, { code: error.code })
  return []
}

/** A backup that is read while its server is watched. */
export interface GuardedReading extends AsyncDisposable {
  readonly gate: ReadGate
  /** What the backup reports, with why it is slow. */
  readonly onProgress: ProgressListener
}

export interface GuardReadingOptions {
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly onProgress: ProgressListener
  /** Default: 10,000. */
  readonly everyMs?: number | undefined
}

/** Holds the reading back whenever the server is under stress, from the first piece until this is disposed. Undefined: nothing is guarded. */
export async function guardReading(retake: Retake, options: GuardReadingOptions): Promise<GuardedReading | undefined> {
  const limits = loadLimits(retake.config.loadGuard)
  if (limits === undefined || limits.maxDelayMs === 0) return undefined
  const { logger, onProgress, everyMs = LOOK_EVERY_MS } = options
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const gate = new ReadGate({ clock: retake.clock, maxHeldMs: limits.maxDelayMs })
  const meter = new LoadMeter(retake, { signal })
  const name = retake.clusterName
  let note: string | undefined
  const look = async () => {
    const stress = await askOnce(meter, { limits, signal, logger })
    if (stress.length === 0) {
      if (gate.isClosed) logger.info(`The backup of ${name} is read at full speed again.`)
      return gate.open()
    }
    const wasClosed = gate.isClosed
    if (!gate.close()) return
    note = `Held back: ${stress.join(', ')}.`
    if (!wasClosed) logger.info(`The backup of ${name} is held back: ${stress.join(', ')}.`)
  }
  try {
    await look()
  } catch (error) {
    await meter[Symbol.asyncDispose]()
    throw error
  }
  const watching = forever(look, {
    signal,
    everyMs,
    onError: ({ message, code }) => logger.debug(`The load of ${name} could not be looked at: ${message}`, { code }),
  })
  return {
    gate,
    onProgress: (progress) => onProgress(gate.isClosed ? { ...progress, message: note } : progress),
    async [Symbol.asyncDispose]() {
      stop.abort()
      gate.open()
      await watching
      await meter[Symbol.asyncDispose]()
    },
  }
}
