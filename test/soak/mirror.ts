/**
 * `kill -9` of the replication, at every change of either place in turn and at random moments, while both places have gone separate ways and half of
 * the time somebody writes beside it. After each kill each copy by itself refers to nothing that it lacks (M1, M6); now and then a run to the end
 * leaves both equal, byte by byte (M4, M9), and nothing that was ever committed is lost (M3).
 */
import { randomBytes } from 'node:crypto'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { generateKey, type KeyMaterial } from '../../src/repository/keys/key-material.ts'
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
import { type Death, killInTurn, runVictim, type VictimSoakOptions, type VictimSoakOutcome } from './victims.ts'

const ROUNDS_BETWEEN_FULL_RUNS = 6

interface Stage {
  readonly places: readonly [origin: string, north: string]
  readonly key: KeyMaterial & { readonly kind: 'key' }
  readonly random: Random
  /** Ever committed, in whichever place. */
  readonly backups: Set<string>
  /** The next segment of the WAL, which only the first place receives. */
  segment: bigint
}

export async function runMirrorSoak(options: VictimSoakOptions): Promise<VictimSoakOutcome> {
  const random = new Random(options.seed, 0x6d697272)
  await using temp = makeTemp({ label: 'mirror' })
  const key = generateKey()
  const places = [temp.join('origin'), temp.join('north')] as const
  const stage: Stage = { places, key, random, backups: new Set(), segment: 1n }
  await begin(stage)
  const outcome = await killInTurn(
    { ...options, random, pick: () => 'sync', fine: 'in order' },
    async (death, _, round) => {
      await goSeparateWays(stage)
      const killed = await replicate(stage, death)
      const found = await check(stage)
      if (round % ROUNDS_BETWEEN_FULL_RUNS === 0) found.push(...(await finish(stage)))
      return { killed, found }
    },
  )
  const problems = [...outcome.problems, ...(await finish(stage))]
  return { ...outcome, problems, backups: stage.backups.size }
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

/** True when it was killed; false when it had ended before. */
async function replicate(stage: Stage, death: Death): Promise<boolean> {
  const { random, places, key } = stage
  const args = [...places, random.pick(places)]
  const beside = death && random.chance(0.5) ? () => backUp(stage, places[0]) : undefined
  return await runVictim({ program: 'mirror-victim.ts', args, keyBytes: key.bytes, random, death, beside })
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
