/**
 * `kill -9` of what is done with keys: a new data key, re-encryption, the end of an old epoch, a key holder added and removed; at every
 * change of the storage in turn and at random moments, half of the time beside a running backup. After each kill the repository is opened
 * anew: every backup is what it was, byte for byte. Then the same work is done to its end, and nothing is wrong any more.
 */
import { Random } from '../../src/demo/cinetrack/random.ts'
import { reEncrypt } from '../../src/engine/keys/re-encrypt.ts'
import { rotateData } from '../../src/engine/keys/rotate-data.ts'
import { assembleRetake, type Retake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { readEpochUsage } from '../../src/repository/epoch-usage.ts'
import { readEpochs } from '../../src/repository/epochs.ts'
import { generateKey, type KeyMaterial } from '../../src/repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../../src/repository/keys/key-text.ts'
import { listBackupIds } from '../../src/repository/manifest-store.ts'
import { createRepository, openRepository } from '../../src/repository/repository.ts'
import { BackupSeries, readContents } from '../../src/repository/testing/backup-series.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { makeTemp } from '../support/temp.ts'
import { doKeyWork, type KeyWork, NEW_KEY_VARIABLE } from './rekey-work.ts'
import {
  type Death,
  killInTurn,
  runVictim,
  unlessLocked,
  type VictimSoakOptions,
  type VictimSoakOutcome,
} from './victims.ts'

const FILES = 16
const KEPT_BACKUPS = 3
const HOUR_MS = 3_600_000
const QUICK_WORK_MS = 40
/** Re-encryption changes most, so it is killed most. */
const MIX: readonly KeyWork[] = ['re-encrypt', 're-encrypt', 'retire', 'rotate', 'add a key', 'remove a key']

interface Stage {
  readonly series: BackupSeries
  readonly random: Random
  readonly url: string
  readonly key: KeyMaterial & { readonly kind: 'key' }
  /** The text of the key that is added and removed. */
  newKey: string
  isAdded: boolean
  hour: number
}

export async function runRekeySoak(options: VictimSoakOptions): Promise<VictimSoakOutcome> {
  const random = new Random(options.seed, 0x6b657973)
  await using temp = makeTemp({ label: 'rekey' })
  const key = generateKey()
  const url = temp.join('repository')
  await using repository = await createRepository(url, key)
  const series = await BackupSeries.begin(repository)
  const stage: Stage = { series, random, url, key, newKey: '', isAdded: false, hour: 0 }
  await backUp(stage)
  await backUp(stage)
  const pick = () => {
    const work = random.pick(MIX)
    return work === 'add a key' || work === 'remove a key' ? (stage.isAdded ? 'remove a key' : 'add a key') : work
  }
  const outcome = await killInTurn({ ...options, random, pick, fine: 'whole' }, async (death, work) => {
    await prepare(stage, work)
    const killed = await killOne(stage, { work, death })
    const found = killed ? await check(stage, work) : []
    return { killed, found: [...found, ...(await finish(stage, work))] }
  })
  return { ...outcome, backups: series.backups.length }
}

async function open(stage: Stage): Promise<Retake & AsyncDisposable> {
  const repository = await openRepository(stage.url, stage.key)
  const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
  return { ...retake, [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose]() }
}

async function backUp({ series, random, ...stage }: Stage): Promise<void> {
  const names = Array.from({ length: FILES }, (_, index) => `base/5/${index}`)
  series.change(series.backups.length === 0 ? names : names.filter(() => random.chance(0.3)))
  await series.backUp(new Date(Date.UTC(2020, 0, 1) + stage.hour * HOUR_MS))
}

/** There is something to do: an older key for what is sealed anew, one that seals nothing for what is destroyed. */
async function prepare(stage: Stage, work: KeyWork): Promise<void> {
  stage.hour += 1
  await backUp(stage)
  stage.hour += 1
  if (work === 'add a key') stage.newKey = formatKeyText(generateKey().bytes)
  if (work !== 're-encrypt' && work !== 'retire') return
  await using retake = await open(stage)
  await rotateData(retake)
  if (work === 're-encrypt') return
  await reEncrypt(retake).result
  await prune(retake, { policy: { days: 0, count: KEPT_BACKUPS }, graceHours: 0 }).result
}

async function killOne(stage: Stage, how: { readonly work: KeyWork; readonly death: Death }): Promise<boolean> {
  const { random, url, key } = stage
  return await runVictim({
    program: 'rekey-victim.ts',
    args: [url, how.work],
    environment: { [NEW_KEY_VARIABLE]: stage.newKey },
    keyBytes: key.bytes,
    random,
    death: how.death,
    // All but re-encryption is a few changes.
    withinMs: how.work === 're-encrypt' ? undefined : QUICK_WORK_MS,
    beside: random.chance(0.5) ? () => backUp(stage).catch(unlessLocked) : undefined,
  })
}

/** R1 to R5, as somebody sees them who opens it now. */
async function check(stage: Stage, work: KeyWork): Promise<string[]> {
  await using retake = await open(stage)
  const { findings } = await verifyRepository({ repository: retake.repository, depth: 'deep', workers: 0 })
  const problems = findings
    .filter(({ severity }) => severity === 'error')
    .map(({ object, problem }) => `${work}: ${object}: ${problem}`)
  return [...problems, ...(await compareBackups(stage, retake))]
}

async function compareBackups({ series }: Stage, retake: Retake): Promise<string[]> {
  const cluster = await retake.cluster()
  const listed = await listBackupIds(cluster)
  const problems: string[] = []
  const newest = series.backups.at(-1)?.backupId
  if (newest !== undefined && !listed.includes(newest)) problems.push(`the newest backup ${newest} has disappeared`)
  for (const { backupId, files } of series.backups) {
    if (!listed.includes(backupId)) continue
    const found = await readContents(cluster, backupId).catch((error: unknown) => String(error))
    if (typeof found === 'string') problems.push(found)
    else if (found.size !== files.size) problems.push(`${backupId} has ${found.size} files instead of ${files.size}`)
    else
      for (const [path, content] of files)
        if (!found.get(path)?.equals(content)) problems.push(`${path} of ${backupId}`)
  }
  return problems
}

/** The same work again to its end, and what must be true then. */
async function finish(stage: Stage, work: KeyWork): Promise<string[]> {
  const problems: string[] = []
  {
    await using retake = await open(stage)
    const isDone = work === 'remove a key' && !(await opens(stage, stage.newKey))
    if (!isDone) await doKeyWork(retake, work, stage.newKey)
  }
  if (work === 'add a key') {
    stage.isAdded = true
    if (!(await opens(stage, stage.newKey))) problems.push('the key that was added does not open the repository')
  }
  if (work === 'remove a key') {
    stage.isAdded = false
    if (await opens(stage, stage.newKey)) problems.push('the key that was removed still opens the repository')
  }
  await using retake = await open(stage)
  const cluster = await retake.cluster()
  const epochs = (await readEpochs(retake.repository, 'main')).map(({ epoch }) => epoch)
  if (work === 'retire' && epochs.length !== 1) {
    const usage = await readEpochUsage(cluster)
    // Whoever backed up beside it may have begun before the newest key.
    if (epochs.some((epoch) => epoch !== Math.max(...epochs) && !usage.has(epoch))) {
      problems.push(`the keys of the epochs ${epochs.join(', ')} are left`)
    }
  }
  return [...problems, ...(await check(stage, 'rotate'))]
}

async function opens(stage: Stage, keyText: string): Promise<boolean> {
  try {
    await using _repository = await openRepository(stage.url, parseKeyText(keyText))
    return true
  } catch {
    return false
  }
}
