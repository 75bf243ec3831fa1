/** A finding of `retake doctor`: what was looked at, what was found, and the exact fix when something is wrong. */

/**
 * `failed`: recovery is endangered or Retake cannot work. `warning`: it works, and something will bite later.
 * `skipped`: does not apply, or depends on a check that failed. `unknown`: it could not be found out, with the reason.
 */
export type CheckState = 'passed' | 'failed' | 'warning' | 'skipped' | 'unknown'

export type CheckArea = 'server' | 'replication' | 'repository' | 'machine'

export interface Verdict {
  readonly state: CheckState
  readonly finding: string
  /** A command, a statement or a line of a file that can be used as it is. */
  readonly fix?: string | undefined
}

export interface CheckResult extends Verdict {
  /** Stable, for machines: `server.wal-level`. */
  readonly id: string
  readonly area: CheckArea
  readonly title: string
}

/** A decision over facts: pure, so that every state of it is tested without a server. */
export interface Check<Facts> {
  readonly id: string
  readonly title: string
  readonly judge: (facts: Facts) => Verdict
}

export const passed = (finding: string): Verdict => ({ state: 'passed', finding })
export const failed = (finding: string, fix: string): Verdict => ({ state: 'failed', finding, fix })
export const warning = (finding: string, fix: string): Verdict => ({ state: 'warning', finding, fix })
export const skipped = (finding: string): Verdict => ({ state: 'skipped', finding })
export const unknown = (finding: string, fix?: string): Verdict => ({ state: 'unknown', finding, fix })

/** `"odd name"` as SQL wants it. */
export function quoteIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

export function formatGiB(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}
