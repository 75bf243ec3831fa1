/** Runs that are due and wait until their server has less to do: asks the server, and notes what it found for whoever looks. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { notePutOff } from '../control/schedules.ts'
import { loadLimits } from '../engine/load/judge-load.ts'
import type { Retake } from '../engine/open.ts'
import type { NewestDue } from './newest-due.ts'
import { judgeBeginning } from './put-off.ts'
import { readStress } from './stress.ts'

export interface WaitingOptions {
  readonly db: Kysely<ControlTables>
  readonly cluster: string
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** The runs of one cluster. */
export class Waiting {
  readonly #options: WaitingOptions
  /** Since when, by the name of the schedule. */
  readonly #since = new Map<string, Date>()

  constructor(options: WaitingOptions) {
    this.#options = options
  }

  /** False: it is put off, which is on record. Verification, pruning and drills touch the repository alone, so they never wait. */
  async mayBegin(retake: Retake, { schedule, run }: NewestDue): Promise<boolean> {
    const { db, cluster, signal, logger } = this.#options
    const limits = loadLimits(retake.config.loadGuard)
    if (limits === undefined || schedule.task !== 'backup') return true
    const { name } = schedule
    const now = retake.clock.now()
    const stress = await readStress(retake, { limits, signal, logger })
    const beginning = judgeBeginning(run, { schedule, now, stress, maxDelayMs: limits.maxDelayMs })
    if (beginning.kind === 'now') {
      if (beginning.despite) {
        logger.warn(
          `${name} of ${cluster} begins although its server is under stress: ${beginning.despite.join(', ')}.`,
        )
      }
      return true
    }
    const since = this.#since.get(name) ?? now
    const because = beginning.because.join(', ')
    const until = beginning.until.toISOString()
    if (!this.#since.has(name))
      logger.info(`${name} of ${cluster} is put off until ${until} at the latest: ${because}.`)
    this.#since.set(name, since)
    const at = run.at.toISOString()
    await notePutOff(db, { cluster, name }, { at, since: since.toISOString(), until, because: beginning.because })
    return false
  }

  /** Another server may have put it off. */
  async begun({ schedule: { name } }: NewestDue): Promise<void> {
    const { db, cluster } = this.#options
    this.#since.delete(name)
    await notePutOff(db, { cluster, name }, undefined)
  }
}
