import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { pageChecksum } from '../postgres/page.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { openStore } from '../storage/open.ts'
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts'
import type { ClusterRepository } from './cluster.ts'
import { ContainerWriter } from './container.ts'
import { packIdPrefix, packKey } from './layout.ts'
import type { FileEntry } from './manifest.ts'
import { ManifestWriter, readSummary } from './manifest-store.ts'
import { beginRun } from './runs.ts'
import { contentId } from './sealing.ts'
import { createExampleRepository, exampleFacts } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'
import { putPosition } from './wal-records.ts'

test('on a directory, deep checks run in threads and find the same', async () => {
  await using directory = await temporaryDirectory()
  const { repository, backups } = await createExampleRepository(await openStore(directory.path))
  const progress: string[] = []
  const clean = await verifyRepository({
    repository,
    depth: 'deep',
    workers: 2,
    onProgress: ({ phase }) => progress.push(phase),
  })
  assert.deepEqual(clean.findings, [])
  assert.deepEqual([clean.ok, clean.backups, clean.packs, clean.segments, clean.clusters], [true, 2, 4, 6, 1])
  assert.deepEqual([...new Set(progress)], ['keys', 'manifests', 'packs', 'wal', 'unused objects'])
  // A frame of the pack that both backups need.
  const packId = backups[0]?.packIds[0] as string
  const path = join(directory.path, packKey(packId))
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70)
  await writeFile(path, bytes)
  const quick = await verifyRepository({ repository, depth: 'quick' })
  assert.equal(quick.ok, true, 'quick does not read frames')
  const deep = await verifyRepository({ repository, depth: 'deep', workers: 2 })
  assert.equal(deep.ok, false)
  const [finding, ...others] = deep.findings
  assert.deepEqual(others, [])
  assert.equal(finding?.object, packKey(packId))
  assert.deepEqual(
    finding?.backups,
    backups.map(({ backupId }) => backupId),
  )
  assert.deepEqual(finding?.files, ['base/5/16384', 'base/5/16386'])
  const one = await verifyRepository({
    repository,
    depth: 'deep',
    backupId: backups[1]?.backupId,
    cluster: 'main',
    workers: 1,
  })
  assert.deepEqual(
    one.findings.map(({ backups }) => backups),
    [[backups[1]?.backupId]],
  )
})

/** Two whole pages with right checksums, as they would lie in the relation from this block on. */
function pages(firstBlock: number): Buffer {
  const bytes = Buffer.concat([randomBytes(8192), randomBytes(8192)])
  for (const [index, block] of [firstBlock, firstBlock + 1].entries()) {
    const page = new Int32Array(
      bytes.buffer.slice(bytes.byteOffset + index * 8192, bytes.byteOffset + (index + 1) * 8192),
    )
    bytes.writeUInt16LE(pageChecksum(page, block), index * 8192 + 8)
  }
  return bytes
}

async function backUpPages(
  cluster: ClusterRepository,
  files: readonly { readonly path: string; readonly content: Buffer; readonly tornBlocks?: readonly number[] }[],
): Promise<string> {
  const backupId = '20261122T110000Z-0000000d'
  const packId = packIdPrefix(backupId) + randomBytes(12).toString('hex')
  await beginRun(cluster, backupId)
  await using pack = await ContainerWriter.open(cluster.store, cluster.sealing, { key: packKey(packId), kind: 'pack' })
  // All files in one frame, so that pages do not begin where the frame does.
  const plain = Buffer.concat([Buffer.from('odd'), ...files.map(({ content }) => content)])
  const id = contentId(cluster.sealing, plain)
  const frame = { ...(await pack.writeFrame(plain, { contentId: id })), pack: 0, contentId: id }
  await pack.commit({})
  await using manifest = await ManifestWriter.open(cluster, backupId)
  await manifest.add({ type: 'pack', packId, salt: Buffer.from(pack.salt).toString('base64url'), epoch: 1 })
  let frameOffsetBytes = 3
  for (const { path, content, tornBlocks } of files) {
    const runs = [{ offsetBytes: 0, lengthBytes: content.length, frame, frameOffsetBytes }]
    const entry: FileEntry = { type: 'file', path, sizeBytes: content.length, mode: 0o600, modifiedMs: 0, runs }
    await manifest.add(tornBlocks ? { ...entry, tornBlocks } : entry)
    frameOffsetBytes += content.length
  }
  const summary = await readSummary(cluster, '20261122T090000Z-0000000a')
  const totalBytes = files.reduce((sum, { content }) => sum + content.length, 0)
  await manifest.commit({ ...summary, backupId, packCount: 1, fileCount: files.length, totalBytes })
  return packKey(packId)
}

test('page checksums of relations are computed again, with the block numbers of the relation', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  await backUpPages(cluster, [
    { path: 'base/5/20000', content: pages(0) },
    { path: 'base/5/20000.2', content: pages(2 * 131072) },
    { path: 'pg_tblspc/16400/PG_17_202406281/5/20001_fsm', content: pages(0) },
    { path: 'base/5/pg_filenode.map', content: randomBytes(16384) },
    { path: 'base/5/20002', content: Buffer.alloc(16384) },
    { path: 'base/5/20003', content: randomBytes(5000) },
  ])
  const report = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(report.findings, [])
  assert.equal(report.pagesChecked, 8)
})

test('a page that was wrong when it was backed up without being recorded is found; a torn one is exempt', async () => {
  const damagedPages = pages(131072)
  damagedPages.writeUInt8(damagedPages.readUInt8(9000) ^ 1, 9000)
  const exempt = createMemoryStore()
  const first = await createExampleRepository(exempt)
  await backUpPages(first.cluster, [{ path: 'base/5/20000.1', content: damagedPages, tornBlocks: [131073] }])
  const report = await verifyRepository({ repository: first.repository, depth: 'deep' })
  assert.deepEqual([report.findings, report.pagesChecked], [[], 1])
  const second = await createExampleRepository(createMemoryStore())
  const key = await backUpPages(second.cluster, [{ path: 'base/5/20000.1', content: damagedPages }])
  const [finding] = (await verifyRepository({ repository: second.repository, depth: 'deep' })).findings
  assert.deepEqual([finding?.severity, finding?.object, finding?.files], ['error', key, ['base/5/20000.1']])
  assert.match(finding?.problem ?? '', /block 131073/)
})

test('what is unused, foreign or still running is told apart', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const { store } = repository
  await beginRun(cluster, '20261122T120000Z-0000000c')
  const packs = [packKey(`0000000c${'1'.repeat(24)}`), packKey(`ffffffff${'2'.repeat(24)}`)]
  for (const key of packs) await store.create(key, Buffer.from('x'))
  await store.create('clusters/main/notes.txt', Buffer.from('x'))
  const report = await verifyRepository({ repository, depth: 'deep' })
  const found = report.findings.map(({ severity, object }) => `${severity} ${object}`)
  assert.deepEqual(found, [
    'warning clusters/main/notes.txt',
    `warning ${packs[1]}`,
    'notice clusters/main/runs/20261122T120000Z-0000000c.begun',
    `notice ${packs[0]}`,
  ])
})

test('acknowledged WAL that is not held, and a backup without its WAL, are named with their positions', async () => {
  const { repository, cluster, backups } = await createExampleRepository(createMemoryStore())
  const at = '2026-11-22T09:00:00.000Z'
  await putPosition(cluster, { timeline: 2, flushLsn: '0/61D4C1', at, serverTime: at })
  const [short] = (await verifyRepository({ repository, depth: 'quick' })).findings
  assert.deepEqual(short?.wal, { timeline: 2, beginLsn: '0/61D4C0', endLsn: '0/61D4C1' })
  await putPosition(cluster, { timeline: 2, flushLsn: '0/61D4C0', at, serverTime: at })
  await repository.store.delete('clusters/main/wal/00000001/0000000000000002')
  const report = await verifyRepository({ repository, depth: 'quick' })
  const hole = report.findings.find(({ object }) => object.endsWith('/wal/00000001/0000000000000002'))
  assert.deepEqual(hole?.wal, { timeline: 1, beginLsn: '0/200000', endLsn: '0/300000' })
  const unusable = report.findings
    .filter(({ problem }) => problem.includes('cannot be restored'))
    .flatMap(({ backups }) => backups)
  assert.deepEqual(
    unusable,
    backups.map(({ backupId }) => backupId),
  )
})

test('there is no report about what does not exist, or when it was stopped', async () => {
  const { repository } = await createExampleRepository(createMemoryStore())
  const isCode = (code: string) => (error: unknown) => isRetakeError(error) && error.code === code
  await assert.rejects(verifyRepository({ repository, depth: 'quick', cluster: 'nothing' }), isCode('cluster.missing'))
  const backupId = '20200101T000000Z-00000000'
  await assert.rejects(
    verifyRepository({ repository, depth: 'quick', cluster: 'main', backupId }),
    isCode('backup.missing'),
  )
  const stop = new AbortController()
  await assert.rejects(
    verifyRepository({
      repository,
      depth: 'deep',
      signal: stop.signal,
      onProgress: ({ phase }) => phase === 'packs' && stop.abort(),
    }),
    isCode('aborted'),
  )
})

test('an incompletely registered cluster is a warning', async () => {
  const { repository } = await createExampleRepository(createMemoryStore())
  await repository.registerCluster({ ...exampleFacts, name: 'half' })
  await repository.store.delete('clusters/half/cluster')
  const report = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(
    report.findings.map(({ severity, object }) => `${severity} ${object}`),
    ['warning clusters/half/cluster'],
  )
})

test('nothing is left behind in the temporary directory of a repository', async () => {
  await using directory = await temporaryDirectory()
  const { repository } = await createExampleRepository(await openStore(directory.path))
  await verifyRepository({ repository, depth: 'deep', workers: 1 })
  assert.deepEqual(await readdir(join(directory.path, '.staging')), [])
})
