/** Processes that are killed with `kill -9`: by their own hand at one change of the storage after the other, and at random moments. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sleep } from '../../src/base/abort.ts'
import { isRetakeError } from '../../src/base/errors.ts'
import type { Random } from '../../src/demo/cinetrack/random.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'

export interface VictimSoakOptions {
  readonly kills: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface VictimSoakOutcome {
  /** By their own hand at a change of the storage, and at a random moment. */
  readonly kills: { atChange: number; atRandom: number }
  /** Runs that ended before they could be killed. */
  readonly survived: number
  readonly backups: number
  readonly problems: readonly string[]
}

export type Death = { readonly change: number; readonly afterwards: boolean } | { readonly random: true } | undefined

/** Later changes than a run makes let it end alive, and begin anew at the first. */
const FIRST_CHANGE = 0
const RANDOM_KILL_MS = 400

/**
 * Rounds of `round`, until so many victims were killed: every second one at the change after the last one, the others at random.
 * @param round kills one (true: it was killed), then says what is wrong
 */
export async function killInTurn<Work extends string>(
  options: VictimSoakOptions & {
    readonly random: Random
    readonly fine: string
    /** What the next victim does; each has changes of its own. */
    readonly pick: () => Work
  },
  round: (
    death: Death,
    work: Work,
    number: number,
  ) => Promise<{ readonly killed: boolean; readonly found: readonly string[] }>,
): Promise<Omit<VictimSoakOutcome, 'backups'> & { readonly problems: string[] }> {
  const kills = { atChange: 0, atRandom: 0 }
  const problems: string[] = []
  let survived = 0
  const changes = new Map<Work, number>()
  for (let number = 1; kills.atChange + kills.atRandom < options.kills; number++) {
    const atChange = number % 2 === 1
    const work = options.pick()
    const change = changes.get(work) ?? FIRST_CHANGE
    const death: Death = atChange ? { change, afterwards: options.random.chance(0.5) } : { random: true }
    const { killed, found } = await round(death, work, number)
    if (!killed) survived += 1
    else if (atChange) kills.atChange += 1
    else kills.atRandom += 1
    if (atChange) changes.set(work, killed ? change + 1 : FIRST_CHANGE)
    problems.push(...found.map((problem) => `round ${number}: ${problem}`))
    const how = atChange ? `at change ${change}` : 'at random'
    options.say(
      `${kills.atChange + kills.atRandom}: ${work} ${killed ? `killed ${how}` : 'ended'}; ${found.join('; ') || options.fine}`,
    )
  }
  return { kills, survived, problems }
}

export interface Victim {
  /** A file of this folder. */
  readonly program: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>> | undefined
  readonly keyBytes: Uint8Array
  readonly random: Random
  readonly death: Death
  /** A random kill comes within so long; default 400. */
  readonly withinMs?: number | undefined
  /** Goes on beside it, from its beginning. */
  readonly beside?: (() => Promise<void>) | undefined
}

/** True when it was killed; false when it had ended before. */
export async function runVictim({ program, args, ...victim }: Victim): Promise<boolean> {
  const { environment, keyBytes, random, death, withinMs = RANDOM_KILL_MS, beside } = victim
  const how = death && 'change' in death ? [String(death.change), String(death.afterwards)] : []
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...args, ...how], {
    env: { ...process.env, ...environment, SOAK_KEY: formatKeyText(keyBytes) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await Promise.race([once(child.stdout, 'data'), ended])
  const besides = beside?.()
  if (death && 'random' in death) {
    await Promise.race([sleep(random.between(0, withinMs)), ended])
    child.kill('SIGKILL')
  }
  const [[code, signal]] = await Promise.all([ended, besides])
  if (signal === null && code !== 0) throw new Error(`${program}, which nobody killed, ended with ${code}`)
  return signal !== null
}

/** What is killed may hold, or need, the lease that the work beside it needs. */
export function unlessLocked(error: unknown): void {
  if (!isRetakeError(error, 'repo.locked')) throw error
}
