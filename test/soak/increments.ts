/** So many increments under load, every tenth restored, backups deleted at random in between; by every way to know what changed. */
import { runIncrementScenario } from '../e2e/increment-scenario.ts'

export interface IncrementSoakOptions {
  readonly major: number
  readonly count: number
  readonly seed: number
  readonly say: (line: string) => void
}

const RESTORE_EVERY = 10
const RESTORES_AT_END = 3

/** @returns what was wrong */
export async function runIncrementSoak({ major, count, seed, say }: IncrementSoakOptions): Promise<string[]> {
  const variants = [
    { name: 'page LSNs', checksums: true, summaries: false },
    { name: 'page LSNs, no checksums', checksums: false, summaries: false },
    ...(major >= 17 ? [{ name: 'WAL summaries', checksums: true, summaries: true }] : []),
  ]
  const problems: string[] = []
  for (const { name, ...variant } of variants) {
    const options = { restoreEvery: RESTORE_EVERY, restoresAtEnd: RESTORES_AT_END, scale: 0.2 }
    const outcome = await runIncrementScenario({ major, seed, say, increments: count, ...options, ...variant }).catch(
      (error: unknown) => ({ backups: [], deleted: 0, restores: 0, problems: errorsOf(error) }),
    )
    say(
      `PostgreSQL ${major}, ${name}: ${outcome.backups.length} backups, ${outcome.deleted} deleted, ${outcome.restores} restores`,
    )
    problems.push(...outcome.problems.map((problem) => `${name}: ${problem}`))
  }
  return problems
}

/** Also those that ended while another one was on its way. */
function errorsOf(error: unknown): string[] {
  if (error instanceof SuppressedError) return [...errorsOf(error.error), ...errorsOf(error.suppressed)]
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
}
