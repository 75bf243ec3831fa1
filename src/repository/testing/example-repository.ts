/** A small repository with real content, made through the public interface, for tests of this and other parts. */
import { randomBytes } from 'node:crypto'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { ClusterFacts, ClusterRepository } from '../cluster.ts'
import { ContainerWriter } from '../container.ts'
import { generateKey, type KeyMaterial } from '../keys/key-material.ts'
import { packIdPrefix, packKey } from '../layout.ts'
import type { BackupSummary, FileEntry, FrameRef } from '../manifest.ts'
import { ManifestWriter } from '../manifest-store.ts'
import { createRepository, type Repository } from '../repository.ts'
import { beginRun } from '../runs.ts'
import { contentId } from '../sealing.ts'
import { putHistory, putPosition, putRange } from '../wal-records.ts'
import { putSegment } from '../wal-segments.ts'
import { TailWriter } from '../wal-tail.ts'

/** A passphrase cost that tests can afford. */
export const CHEAP_SCRYPT = { n: 16, r: 8, p: 1 }

export const EXAMPLE_SEGMENT_BYTES = 1024 * 1024

export const exampleFacts: ClusterFacts = {
  name: 'main',
  systemIdentifier: '7441234567890123456',
  serverVersionNum: 170010,
  walSegmentSizeBytes: EXAMPLE_SEGMENT_BYTES,
  blockSizeBytes: 8192,
  slot: 'retake_main',
}

export interface ExampleRepository {
  readonly repository: Repository
  readonly cluster: ClusterRepository
  readonly key: KeyMaterial
  readonly backups: readonly ExampleBackup[]
}

export interface ExampleBackup {
  readonly backupId: string
  readonly packIds: readonly string[]
  /** Content of every file of the backup by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

/**
 * Two holders; two backups, the second of which also refers to a pack of the first; timeline 1 with finished segments 1 to 3 and
 * a partial fourth one, timeline 2 with its history, the fourth and fifth segment and a tail of two parts in the sixth; a position.
 */
export async function createExampleRepository(store: ObjectStore): Promise<ExampleRepository> {
  const key = generateKey()
  const repository = await createRepository(store, key)
  await repository.addHolder(
    { kind: 'passphrase', text: 'correct horse' },
    { label: 'paper', scryptCost: CHEAP_SCRYPT },
  )
  const cluster = await repository.registerCluster(exampleFacts)
  const first = await writeExampleBackup(cluster, { backupId: '20261122T090000Z-0000000a' })
  const second = await writeExampleBackup(cluster, { backupId: '20261122T100000Z-0000000b', shared: first })
  await writeExampleWal(cluster)
  return { repository, cluster, key, backups: [first, second] }
}

interface ExampleBackupOptions {
  readonly backupId: string
  /** Its first pack is referred to as well. */
  readonly shared?: ExampleBackup & { readonly frames?: readonly FrameRef[]; readonly salts?: readonly string[] }
  readonly startLsn?: string
  readonly stopLsn?: string
}

/** Two packs of its own, a few files over them, an empty one and one with a stretch of zeros. */
export async function writeExampleBackup(cluster: ClusterRepository, options: ExampleBackupOptions) {
  const { backupId, shared } = options
  await beginRun(cluster, backupId)
  const written = [await writePack(cluster, backupId, 3), await writePack(cluster, backupId, 2)]
  const packIds = written.map(({ packId }) => packId)
  const salts = written.map(({ salt }) => salt)
  const frames = written.flatMap((pack, index) => pack.frames.map((frame) => ({ ...frame, pack: index })))
  const plains = written.flatMap((pack) => pack.plains)
  const files = new Map<string, Uint8Array>()
  const entries: FileEntry[] = []
  const addFile = (path: string, parts: readonly { frame?: FrameRef; plain: Uint8Array }[]) => {
    const content = Buffer.concat(parts.map(({ plain }) => plain))
    let offsetBytes = 0
    const runs = parts.map(({ frame, plain }) => {
      const run = { offsetBytes, lengthBytes: plain.length, frame, frameOffsetBytes: 0 }
      offsetBytes += plain.length
      return run
    })
    files.set(path, content)
    entries.push({ type: 'file', path, sizeBytes: content.length, mode: 0o600, modifiedMs: 1_795_338_251_000, runs })
  }
  const part = (index: number) => ({ frame: frames[index] as FrameRef, plain: plains[index] as Uint8Array })
  addFile('base/5/16384', [part(0), { plain: new Uint8Array(16384) }, part(3)])
  addFile('base/5/16385', [part(1)])
  addFile('global/pg_filenode.map', [part(2)])
  addFile('pg_wal/archive_status/empty', [])
  addFile('PG_VERSION', [part(4)])
  const sharedFrame = shared?.frames?.[0]
  const sharedPack = shared?.packIds[0]
  const sharedSalt = shared?.salts?.[0]
  if (sharedFrame && sharedPack && sharedSalt) {
    packIds.push(sharedPack)
    salts.push(sharedSalt)
    const plain = (shared.files.get('base/5/16384') as Uint8Array).subarray(0, sharedFrame.plainBytes)
    addFile('base/5/16386', [{ frame: { ...sharedFrame, pack: 2 }, plain }])
  }
  await using writer = await ManifestWriter.open(cluster, backupId)
  for (const [index, packId] of packIds.entries())
    await writer.add({ type: 'pack', packId, salt: salts[index] as string, epoch: cluster.sealing.epoch })
  for (const path of ['base', 'base/5', 'global', 'pg_wal']) await writer.add({ type: 'directory', path, mode: 0o700 })
  await writer.add({ type: 'link', path: 'link', target: '/elsewhere' })
  for (const entry of entries) await writer.add(entry)
  await writer.commit(summaryOf(cluster, { ...options, packCount: packIds.length, entries }))
  return { backupId, packIds: packIds.slice(0, 2), salts, files, frames }
}

async function writePack(cluster: ClusterRepository, backupId: string, frameCount: number) {
  const packId = packIdPrefix(backupId) + randomBytes(12).toString('hex')
  await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, {
    key: packKey(packId),
    kind: 'pack',
  })
  const frames: Omit<FrameRef, 'pack'>[] = []
  const plains: Uint8Array[] = []
  for (let index = 0; index < frameCount; index++) {
    // Not pages of PostgreSQL, and so small that no page check applies; every second one does not compress.
    const plain = index % 2 === 0 ? Buffer.from(`frame ${index} of ${packId}. `.repeat(40)) : randomBytes(1500)
    const id = contentId(cluster.sealing, plain)
    frames.push({ ...(await writer.writeFrame(plain, { contentId: id })), contentId: id })
    plains.push(plain)
  }
  await writer.commit({ backupId })
  return { packId, salt: Buffer.from(writer.salt).toString('base64url'), frames, plains }
}

function summaryOf(
  cluster: ClusterRepository,
  options: ExampleBackupOptions & { readonly packCount: number; readonly entries: readonly FileEntry[] },
): BackupSummary {
  const { facts } = cluster
  return {
    backupId: options.backupId,
    type: 'full',
    cluster: facts.name,
    systemIdentifier: facts.systemIdentifier,
    serverVersionNum: facts.serverVersionNum,
    blockSizeBytes: facts.blockSizeBytes,
    walSegmentSizeBytes: facts.walSegmentSizeBytes,
    dataChecksums: true,
    timeline: 1,
    startLsn: options.startLsn ?? '0/100028',
    stopTimeline: 1,
    stopLsn: options.stopLsn ?? '0/200100',
    startedAt: '2026-11-22T09:00:00.000Z',
    stoppedAt: '2026-11-22T09:00:05.000Z',
    tablespaces: [],
    fileCount: options.entries.length,
    totalBytes: options.entries.reduce((sum, entry) => sum + entry.sizeBytes, 0),
    storedBytes: 10_000,
    packCount: options.packCount,
    tornBlockCount: 0,
    corruptBlockCount: 0,
    retakeVersion: '0.1.0',
  }
}

async function writeExampleWal(cluster: ClusterRepository): Promise<void> {
  const at = '2026-11-22T09:00:00.000Z'
  await putRange(cluster, {
    timeline: 1,
    beginLsn: '0/100000',
    reason: 'first-contact',
    at,
    explanation: 'The archive begins here.',
  })
  for (const segment of [1n, 2n, 3n])
    await putExampleSegment(cluster, { timeline: 1, segment, validBytes: EXAMPLE_SEGMENT_BYTES })
  await putExampleSegment(cluster, { timeline: 1, segment: 4n, validBytes: 300_000 })
  await putHistory(cluster, { timeline: 2, content: Buffer.from('1\t0/4493E0\tno recovery target specified\n') })
  await putRange(cluster, {
    timeline: 2,
    beginLsn: '0/400000',
    reason: 'new-timeline',
    at,
    explanation: 'The server was promoted.',
  })
  for (const segment of [4n, 5n])
    await putExampleSegment(cluster, { timeline: 2, segment, validBytes: EXAMPLE_SEGMENT_BYTES })
  const wal = randomBytes(120_000)
  for (const [from, to] of [
    [0, 70_000],
    [70_000, 120_000],
  ] as const) {
    await using tail = await TailWriter.open(cluster, { timeline: 2, segment: 6n, offsetBytes: from })
    for (let start = from; start < to; start += 8192) {
      await tail.append(wal.subarray(start, Math.min(to, start + 8192)))
      await tail.sync()
    }
  }
  await putPosition(cluster, {
    timeline: 2,
    flushLsn: '0/61D4C0',
    at,
    serverTime: at,
    caughtUpAt: at,
    slot: 'retake_main',
  })
}

async function putExampleSegment(
  cluster: ClusterRepository,
  segment: { readonly timeline: number; readonly segment: bigint; readonly validBytes: number },
): Promise<void> {
  const partial = segment.validBytes < EXAMPLE_SEGMENT_BYTES
  await putSegment(cluster, { ...segment, partial }, [randomBytes(segment.validBytes)], {
    commits: 0,
    restorePoints: [],
  })
}
