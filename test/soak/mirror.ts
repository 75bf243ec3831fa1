/**
 * `kill -9` of the replication, at every change of either place in turn and at random moments, while both places have gone separate ways and half of
 * the time somebody writes beside it. After each kill each copy by itself refers to nothing that it lacks (M1, M6); now and then a run to the end
 * leaves both equal, byte by byte (M4, M9), and nothing that was ever committed is lost (M3).
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { sleep } from '../../src/base/abort.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { generateKey, type KeyMaterial } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { listBackupIds } from '../../src/repository/manifest-store.ts'
import { createRepository, openRepository } from '../../src/repository/repository.ts'
import {
  EXAMPLE_SEGMENT_BYTES,
  exampleFacts,
  writeExampleBackup,
} from '../../src/repository/testing/example-repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { putHistory, putPosition, putRange } from '../../src/repository/wal-records.ts'
import { putSegment } from '../../src/repository/wal-segments.ts'
import { deleteTail, TailWriter } from '../../src/repository/wal-tail.ts'
import { openStore } from '../../src/storage/open.ts'
import { makeTemp } from '../support/temp.ts'

export interface MirrorSoakOptions {
  readonly kills: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface MirrorSoakOutcome {
  readonly kills: { atChange: number; atRandom: number }
  /** Runs that ended before they could be killed. */
  readonly survived: number
  readonly backups: number
  readonly problems: readonly string[]
}

const ROUNDS_BETWEEN_FULL_RUNS = 6

interface Stage {
  readonly places: readonly [origin: string, north: string]
  readonly key: KeyMaterial
  readonly random: Random
  /** Ever committed, in whichever place. */
  readonly backups: Set<string>
  /** The next segment of the WAL, which only the first place receives. */
  segment: bigint
}

export async function runMirrorSoak(options: MirrorSoakOptions): Promise<MirrorSoakOutcome> {
  const random = new Random(options.seed, 0x6d697272)
  await using temp = makeTemp({ label: 'mirror' })
  const key = generateKey()
  const places = [temp.join('origin'), temp.join('north')] as const
  const stage: Stage = { places, key, random, backups: new Set(), segment: 1n }
  await begin(stage)
  const kills = { atChange: 0, atRandom: 0 }
  const problems: string[] = []
  let survived = 0
  let change = 0
  for (let round = 1; kills.atChange + kills.atRandom < options.kills; round++) {
    await goSeparateWays(stage)
    const atChange = round % 2 === 1
    const killed = await replicate(stage, atChange ? { change, afterwards: random.chance(0.5) } : { random: true })
    if (!killed) survived += 1
    else if (atChange) kills.atChange += 1
    else kills.atRandom += 1
    if (atChange) change = killed ? change + 1 : 0
    const found = await check(stage)
    if (round % ROUNDS_BETWEEN_FULL_RUNS === 0) found.push(...(await finish(stage)))
    problems.push(...found.map((problem) => `round ${round}: ${problem}`))
    const how = atChange ? `at change ${change}` : 'at random'
    options.say(
      `${kills.atChange + kills.atRandom}: ${killed ? `killed ${how}` : 'ended'}; ${found.join('; ') || 'in order'}`,
    )
  }
  problems.push(...(await finish(stage)))
  return { kills, survived, backups: stage.backups.size, problems }
}

async function begin(stage: Stage): Promise<void> {
  const [origin, north] = stage.places
  await using _north = await openStore(north, { create: true })
  await using repository = await createRepository(origin, stage.key)
  const cluster = await repository.registerCluster(exampleFacts)
  await putRange(cluster, {
    timeline: 1,
    beginLsn: '0/100000',
    reason: 'first-contact',
    at: '2026-01-01T00:00:00.000Z',
    explanation: 'The archive begins here.',
  })
  await putHistory(cluster, { timeline: 2, content: Buffer.from('1\t0/100000\tno recovery target specified\n') })
}

/** Each place gets what the other does not, as when the network between them is broken. */
async function goSeparateWays(stage: Stage): Promise<void> {
  const { random, places } = stage
  await backUp(stage, places[0])
  if (random.chance(0.5)) await backUp(stage, places[1])
  await receive(stage)
}

async function backUp(stage: Stage, place: string): Promise<void> {
  // A mirror that was never complete has not the WAL that a backup needs; nobody would make one there.
  if (place !== stage.places[0] && !(await wasComplete(place))) return
  await using repository = await openRepository(place, stage.key)
  const cluster = await repository.openCluster(exampleFacts.name)
  const digits = randomBytes(4).toString('hex')
  const minute = (stage.backups.size % 60).toString().padStart(2, '0')
  const hour = (Math.floor(stage.backups.size / 60) % 24).toString().padStart(2, '0')
  const { backupId } = await writeExampleBackup(cluster, { backupId: `20261122T${hour}${minute}00Z-${digits}` })
  stage.backups.add(backupId)
}

/** The position comes last of all. */
async function wasComplete(place: string): Promise<boolean> {
  await using store = await openStore(place)
  return (await store.head('clusters/main/wal/position')) !== undefined
}

/** A segment that is finished, the beginning of the next, and the position that speaks of both. */
async function receive(stage: Stage): Promise<void> {
  await using repository = await openRepository(stage.places[0], stage.key)
  const cluster = await repository.openCluster(exampleFacts.name)
  const { segment, random } = stage
  const place = { timeline: 1, segment }
  await putSegment(
    cluster,
    { ...place, partial: false, validBytes: EXAMPLE_SEGMENT_BYTES },
    [randomBytes(EXAMPLE_SEGMENT_BYTES)],
    { commits: 0, restorePoints: [] },
  )
  await deleteTail(cluster, place)
  stage.segment = segment + 1n
  const length = random.between(1, 100) * 1000
  {
    await using tail = await TailWriter.open(cluster, { timeline: 1, segment: stage.segment, offsetBytes: 0 })
    await tail.append(randomBytes(length))
    await tail.sync()
  }
  const at = '2026-01-01T00:00:00.000Z'
  const lsn = Number(stage.segment) * EXAMPLE_SEGMENT_BYTES + length
  await putPosition(cluster, {
    timeline: 1,
    flushLsn: `0/${lsn.toString(16).toUpperCase()}`,
    at,
    serverTime: at,
    caughtUpAt: at,
  })
}

type Death = { readonly change: number; readonly afterwards: boolean } | { readonly random: true } | undefined

/** True when it was killed; false when it had ended before. */
async function replicate(stage: Stage, death: Death): Promise<boolean> {
  const { random, places, key } = stage
  const args = [join(import.meta.dirname, 'mirror-victim.ts'), ...places, random.pick(places)]
  if (death && 'change' in death) args.push(String(death.change), String(death.afterwards))
  const keyText = formatKeyText((key as { bytes: Uint8Array }).bytes)
  const child = spawn(process.execPath, args, {
    env: { ...process.env, SOAK_KEY: keyText },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await Promise.race([once(child.stdout, 'data'), ended])
  const writing = death && random.chance(0.5) ? backUp(stage, places[0]) : Promise.resolve()
  if (death && 'random' in death) {
    await Promise.race([sleep(random.between(0, 400)), ended])
    child.kill('SIGKILL')
  }
  const [[code, signal]] = await Promise.all([ended, writing])
  if (signal === null && code !== 0) throw new Error(`a replication that nobody killed ended with ${code}`)
  return signal !== null
}

/** Each copy by itself. */
async function check(stage: Stage): Promise<string[]> {
  const problems: string[] = []
  for (const place of stage.places) {
    await using store = await openStore(place)
    if ((await store.head('retake.json')) === undefined) continue
    await using repository = await openRepository(place, stage.key)
    const { findings } = await verifyRepository({ repository, depth: 'quick' })
    for (const { severity, object, problem } of findings) {
      if (severity !== 'error' || (await isNotYetThere(place, object))) continue
      problems.push(`${place}: ${object}: ${problem}`)
    }
  }
  return problems
}

/** A new mirror gets its clusters, and its position, after what they speak of. */
async function isNotYetThere(place: string, object: string): Promise<boolean> {
  if (!/^clusters\/main\/(cluster|wal\/position)$/.test(object)) return false
  await using store = await openStore(place)
  return (await store.head(object)) === undefined
}

/** To the end: nothing is lost, and both are equal. */
async function finish(stage: Stage): Promise<string[]> {
  // The lease of the one that was killed is free at once: its process has certainly ended.
  await replicate(stage, undefined)
  const problems = await check(stage)
  const [one, other] = await Promise.all(stage.places.map(contentOf))
  for (const key of new Set([...(one?.keys() ?? []), ...(other?.keys() ?? [])])) {
    if (one?.get(key) !== other?.get(key)) problems.push(`${key} differs`)
  }
  await using repository = await openRepository(stage.places[1], stage.key)
  const listed = new Set(await listBackupIds(await repository.openCluster(exampleFacts.name)))
  for (const backupId of stage.backups) if (!listed.has(backupId)) problems.push(`the backup ${backupId} is lost`)
  return problems
}

async function contentOf(place: string): Promise<Map<string, string>> {
  await using store = await openStore(place)
  const content = new Map<string, string>()
  for await (const { key } of store.list('')) {
    if (key.startsWith('copies/')) continue
    content.set(key, Buffer.from((await store.get(key)) ?? []).toString('base64'))
  }
  return content
}
