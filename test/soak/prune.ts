/**
 * `kill -9` of pruning and repacking, at every change of the storage in turn and at random moments, half of the time beside a
 * running backup. Afterwards every backup that is listed is what it was, byte for byte, and now and then a run to the end shows
 * that nothing is left over.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sleep } from '../../src/base/abort.ts'
import { isRetakeError } from '../../src/base/errors.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { assembleRetake, type Retake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { assertInvariants, assertNothingLeft } from '../../src/engine/testing/prune-stage.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { listBackupIds } from '../../src/repository/manifest-store.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { BackupSeries } from '../../src/repository/testing/backup-series.ts'
import { makeTemp } from '../support/temp.ts'

export interface PruneSoakOptions {
  readonly kills: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface PruneSoakOutcome {
  /** By their own hand at a change of the storage, and at a random moment. */
  readonly kills: { atChange: number; atRandom: number }
  /** Runs that ended before they could be killed. */
  readonly survived: number
  readonly backups: number
  readonly problems: readonly string[]
}

const FILES = 24
const ROUNDS_BETWEEN_FULL_RUNS = 8
/** Later changes than a run makes let it end alive, and begin anew at the first. */
const FIRST_CHANGE = 0
const HOUR_MS = 3_600_000

export async function runPruneSoak(options: PruneSoakOptions): Promise<PruneSoakOutcome> {
  const random = new Random(options.seed, 0x7072756e)
  await using temp = makeTemp({ label: 'prune' })
  const key = generateKey()
  const url = temp.join('repository')
  await using repository = await createRepository(url, key)
  const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
  const series = await BackupSeries.begin(repository)
  series.change(fileNames(FILES))
  const victim = { url, keyText: formatKeyText(key.bytes) }
  const stage = { retake, series, random, victim, hour: 0 }
  await makeBackups(stage, 3)
  const kills = { atChange: 0, atRandom: 0 }
  const problems: string[] = []
  let survived = 0
  let change = FIRST_CHANGE
  for (let round = 1; kills.atChange + kills.atRandom < options.kills; round++) {
    await makeBackups(stage, random.between(1, 2))
    const atChange = round % 2 === 1
    const killed = await killOne(stage, atChange ? { change, afterwards: random.chance(0.5) } : {})
    if (!killed) survived += 1
    else if (atChange) kills.atChange += 1
    else kills.atRandom += 1
    if (atChange) change = killed ? change + 1 : FIRST_CHANGE
    const found = await check(stage, round % ROUNDS_BETWEEN_FULL_RUNS === 0)
    problems.push(...found.map((problem) => `round ${round}: ${problem}`))
    const how = atChange ? `at change ${change}` : 'at random'
    options.say(
      `${kills.atChange + kills.atRandom}: ${killed ? `killed ${how}` : 'ended'}; ${found.join('; ') || 'whole'}`,
    )
  }
  problems.push(...(await check(stage, true)))
  return { kills, survived, backups: series.backups.length, problems }
}

interface Stage {
  readonly retake: Retake
  readonly series: BackupSeries
  readonly random: Random
  readonly victim: { readonly url: string; readonly keyText: string }
  hour: number
}

const fileNames = (count: number) => Array.from({ length: count }, (_, index) => `base/5/${index}`)

async function makeBackups(stage: Stage, count: number): Promise<void> {
  for (let made = 0; made < count; made++) {
    stage.series.change(fileNames(FILES).filter(() => stage.random.chance(0.3)))
    // Long ago, an hour apart: what is young is nobody's business here.
    await stage.series.backUp(new Date(Date.UTC(2020, 0, 1) + stage.hour++ * HOUR_MS))
  }
}

/** True when it was killed; false when it had ended before. */
async function killOne(
  stage: Stage,
  death: { readonly change?: number | undefined; readonly afterwards?: boolean | undefined },
): Promise<boolean> {
  const { random, victim } = stage
  const program = join(import.meta.dirname, 'prune-victim.ts')
  const args = [program, victim.url, String(random.between(1, 4))]
  if (death.change !== undefined) args.push(String(death.change), String(death.afterwards))
  const child = spawn(process.execPath, args, {
    env: { ...process.env, SOAK_KEY: victim.keyText },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await Promise.race([once(child.stdout, 'data'), ended])
  const backup = random.chance(0.5) ? makeBackups(stage, 1) : Promise.resolve()
  if (death.change === undefined) {
    await Promise.race([sleep(random.between(0, 400)), ended])
    child.kill('SIGKILL')
  }
  const [[code, signal]] = await Promise.all([ended, backup.catch(unlessLocked)])
  if (signal === null && code !== 0) throw new Error(`a pruning that nobody killed ended with ${code}`)
  return signal !== null
}

/** Pruning takes the lease of backups for a moment, to clean up after interrupted ones. */
function unlessLocked(error: unknown): void {
  if (!isRetakeError(error, 'repo.locked')) throw error
}

async function check(stage: Stage, toTheEnd: boolean): Promise<string[]> {
  const { retake, series } = stage
  const cluster = await retake.cluster()
  try {
    const newest = series.backups.at(-1)?.backupId
    const listed = await assertInvariants(retake, series.backups)
    if (newest !== undefined && !listed.includes(newest)) return [`the newest backup ${newest} has disappeared`]
    if (!toTheEnd) return []
    await prune(retake, { policy: { days: 0, count: 2 }, graceHours: 0 }).result
    await assertNothingLeft(retake)
    const left = await assertInvariants(retake, series.backups)
    // Of what was there: a run that ended alive may have kept one alone.
    const expected = listed.slice(-2)
    // What was given up by then is not needed for comparing any more.
    series.backups.splice(0, series.backups.length - 4)
    return left.join() === expected.join() ? [] : [`${left.join()} are left instead of ${expected.join()}`]
  } catch (error) {
    return [
      `${error instanceof Error ? error.message : String(error)} (${(await listBackupIds(cluster)).length} backups)`,
    ]
  }
}
