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
    const outcome = await runIncrementScenario({ major, seed, say, increments: count, ...options, ...variant })
    say(
      `PostgreSQL ${major}, ${name}: ${outcome.backups.length} backups, ${outcome.deleted} deleted, ${outcome.restores} restores`,
    )
    problems.push(...outcome.problems.map((problem) => `${name}: ${problem}`))
  }
  return problems
}
