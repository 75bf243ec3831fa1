/**
 * `kill -9` of pruning and repacking, at every change of the storage in turn and at random moments, half of the time beside a
 * running backup. Afterwards every backup that is listed is what it was, byte for byte, and now and then a run to the end shows
 * that nothing is left over.
 */
import { Random } from '../../src/demo/cinetrack/random.ts'
import { assembleRetake, type Retake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { assertInvariants, assertNothingLeft } from '../../src/engine/testing/prune-stage.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { listBackupIds } from '../../src/repository/manifest-store.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { BackupSeries } from '../../src/repository/testing/backup-series.ts'
import { makeTemp } from '../support/temp.ts'
import {
  type Death,
  killInTurn,
  runVictim,
  unlessLocked,
  type VictimSoakOptions,
  type VictimSoakOutcome,
} from './victims.ts'

const FILES = 24
const ROUNDS_BETWEEN_FULL_RUNS = 8
const HOUR_MS = 3_600_000

export async function runPruneSoak(options: VictimSoakOptions): Promise<VictimSoakOutcome> {
  const random = new Random(options.seed, 0x7072756e)
  await using temp = makeTemp({ label: 'prune' })
  const key = generateKey()
  const url = temp.join('repository')
  await using repository = await createRepository(url, key)
  const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
  const series = await BackupSeries.begin(repository)
  series.change(fileNames(FILES))
  const stage: Stage = { retake, series, random, url, keyBytes: key.bytes, hour: 0 }
  await makeBackups(stage, 3)
  const outcome = await killInTurn(
    { ...options, random, pick: () => 'prune', fine: 'whole' },
    async (death, _, round) => {
      await makeBackups(stage, random.between(1, 2))
      const killed = await killOne(stage, death)
      return { killed, found: await check(stage, round % ROUNDS_BETWEEN_FULL_RUNS === 0) }
    },
  )
  const problems = [...outcome.problems, ...(await check(stage, true))]
  return { ...outcome, problems, backups: series.backups.length }
}

interface Stage {
  readonly retake: Retake
  readonly series: BackupSeries
  readonly random: Random
  readonly url: string
  readonly keyBytes: Uint8Array
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

async function killOne(stage: Stage, death: Death): Promise<boolean> {
  const { random, url, keyBytes } = stage
  const args = [url, String(random.between(1, 4))]
  const beside = random.chance(0.5) ? () => makeBackups(stage, 1).catch(unlessLocked) : undefined
  return await runVictim({ program: 'prune-victim.ts', args, keyBytes, random, death, beside })
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
