/** What a drill has done so far: it becomes the record, however the drill ends. */
import { hostname } from 'node:os'
import type { Clock } from '../base/clock.ts'
import type { RetakeError } from '../base/errors.ts'
import { retakeVersion } from '../base/version.ts'
import type { DrillCheck, DrillOutcome, DrillRecord } from '../repository/drills.ts'

type Facts = Partial<Pick<DrillRecord, 'target' | 'backup' | 'size' | 'reached' | 'rpoMs' | 'rtoMs'>>

export interface ProtocolHead {
  readonly id: string
  readonly cluster: string
  readonly serverVersionNum: number
  readonly by: string
  readonly request?: string | undefined
  readonly deep: boolean
}

export class Protocol {
  readonly #head: ProtocolHead
  readonly #clock: Clock
  readonly #beganAt: string
  readonly #begunMs: number
  readonly #phases: { name: string; durationMs: number }[] = []
  readonly #checks: DrillCheck[] = []
  readonly #warnings: string[] = []
  #facts: Facts = {}
  #programs: string | undefined

  constructor(head: ProtocolHead, clock: Clock) {
    this.#head = head
    this.#clock = clock
    this.#beganAt = clock.now().toISOString()
    this.#begunMs = clock.monotonicMs()
  }

  get beganAt(): string {
    return this.#beganAt
  }

  /** Since the order. */
  get elapsedMs(): number {
    return Math.round(this.#clock.monotonicMs() - this.#begunMs)
  }

  /** A phase that fails has taken its time too. */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const begun = this.#clock.monotonicMs()
    try {
      return await work()
    } finally {
      this.addPhases([{ name, durationMs: Math.round(this.#clock.monotonicMs() - begun) }])
    }
  }

  addPhases(phases: readonly { readonly name: string; readonly durationMs: number }[]): void {
    for (const { name, durationMs } of phases) this.#phases.push({ name, durationMs })
  }

  note(facts: Facts): void {
    this.#facts = { ...this.#facts, ...facts }
  }

  noteChecks(checks: readonly DrillCheck[]): void {
    this.#checks.push(...checks)
  }

  noteWarnings(warnings: readonly string[]): void {
    this.#warnings.push(...warnings)
  }

  notePrograms(version: string): void {
    this.#programs = version
  }

  get failedChecks(): readonly DrillCheck[] {
    return this.#checks.filter(({ result }) => result === 'failed')
  }

  /** The record of a drill that ends now. */
  finish(error: RetakeError | undefined): DrillRecord {
    const { id, cluster, serverVersionNum, by, request, deep } = this.#head
    const hint = error?.hint === undefined ? {} : { hint: error.hint }
    return {
      ...{ id, cluster, beganAt: this.#beganAt, endedAt: this.#clock.now().toISOString(), by, deep },
      ...(request === undefined ? {} : { request }),
      host: hostname(),
      outcome: outcomeOf(error, this.failedChecks),
      ...this.#facts,
      versions: {
        retake: retakeVersion(),
        server: serverVersionNum,
        ...(this.#programs === undefined ? {} : { programs: this.#programs }),
      },
      phases: [...this.#phases],
      checks: [...this.#checks],
      warnings: [...this.#warnings],
      ...(error ? { error: { code: error.code, message: error.message, ...hint } } : {}),
    }
  }
}

/** What keeps a drill from being carried out here, and says nothing about the backups. */
const INCONCLUSIVE: readonly string[] = [
  'dependency.missing',
  'restore.refused',
  'config.invalid',
  'storage.full',
  'postgres.auth',
]

/** A check that failed counts, whatever came after it. */
export function outcomeOf(error: RetakeError | undefined, failedChecks: readonly unknown[]): DrillOutcome {
  if (failedChecks.length > 0) return 'failed'
  if (error === undefined) return 'passed'
  if (error.code === 'aborted') return 'interrupted'
  return INCONCLUSIVE.includes(error.code) ? 'inconclusive' : 'failed'
}
