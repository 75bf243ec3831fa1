import { isRetakeError, type RetakeError } from '../../base/errors.ts'

/** A stretch of WAL that is damaged or missing. */
export interface WalSpan {
  readonly timeline: number
  /** `X/Y` */
  readonly beginLsn: string
  /** `X/Y`, exclusive */
  readonly endLsn: string
}

/**
 * Something that is not as it was written. An `error` costs backups or moments; a `warning` costs none yet (a second copy of a
 * fact is gone); a `notice` is normal (a backup is running) or only wastes space.
 */
export interface VerifyFinding {
  readonly severity: 'error' | 'warning' | 'notice'
  /** The key of the object. */
  readonly object: string
  /** A sentence without the object's name. */
  readonly problem: string
  readonly cluster?: string | undefined
  /** Backups that cannot be restored completely because of it. */
  readonly backups: readonly string[]
  readonly wal?: WalSpan | undefined
  /** Some of the files affected, as `path` of the oldest such backup; at most {@link MAX_FILES}. */
  readonly files?: readonly string[] | undefined
}

export const MAX_FILES = 20

export interface CheckedBackup {
  readonly cluster: string
  readonly backupId: string
}

export interface VerifyReport {
  readonly depth: 'quick' | 'deep'
  readonly repositoryId: string
  readonly url: string
  /** Our clock, ISO 8601 UTC. */
  readonly startedAt: string
  readonly finishedAt: string
  /** No error and no warning. */
  readonly ok: boolean
  readonly clusters: number
  readonly backups: number
  readonly packs: number
  readonly segments: number
  /** Stored bytes that were read and authenticated in full. */
  readonly bytesRead: number
  /** Pages whose PostgreSQL checksum was computed. */
  readonly pagesChecked: number
  /** The backups whose manifest was read to its end; those that a finding of severity `error` names have not passed. */
  readonly checked: readonly CheckedBackup[]
  /** Errors first, then by object. */
  readonly findings: readonly VerifyFinding[]
}

type FindingFacts = Omit<VerifyFinding, 'backups' | 'severity'> & Partial<Pick<VerifyFinding, 'backups' | 'severity'>>

/** Collects findings; the same object and problem is reported once. */
export class Findings {
  readonly #byText = new Map<string, VerifyFinding>()
  readonly #objects = new Set<string>()

  add(finding: FindingFacts): void {
    const complete = { severity: 'error', backups: [], ...finding } as const
    this.#objects.add(finding.object)
    const text = `${finding.object}\n${finding.problem}`
    const known = this.#byText.get(text)
    const backups = [...new Set([...(known?.backups ?? []), ...complete.backups])].sort()
    this.#byText.set(text, { ...known, ...complete, backups })
  }

  /**
   * Runs a check of one object; damage that it throws becomes a finding, everything else (the storage fails, an abort) ends the
   * verification, which then has no result.
   */
  async attempt<T>(facts: Omit<FindingFacts, 'problem'>, check: () => Promise<T>): Promise<T | undefined> {
    try {
      return await check()
    } catch (error) {
      if (!isDamage(error)) throw error
      this.add({ ...facts, object: objectOf(error) ?? facts.object, problem: problemOf(error) })
      return undefined
    }
  }

  /** Whether something is known about an object. */
  has(object: string): boolean {
    return this.#objects.has(object)
  }

  get all(): VerifyFinding[] {
    const rank = { error: 0, warning: 1, notice: 2 }
    return [...this.#byText.values()].sort(
      (left, right) => rank[left.severity] - rank[right.severity] || (left.object < right.object ? -1 : 1),
    )
  }
}

function isDamage(error: unknown): error is RetakeError {
  return (
    isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'repo.missing') || isRetakeError(error, 'repo.version')
  )
}

function objectOf(error: RetakeError): string | undefined {
  return typeof error.details.object === 'string' ? error.details.object : undefined
}

/** The sentence without what the finding says anyway. */
function problemOf(error: RetakeError): string {
  return error.message.replace(/^\S+ is damaged: /, '').replace(/\.$/, '')
}
