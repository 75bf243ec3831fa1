import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { generateKey } from './keys/key-material.ts'
import { manifestKey, runKey } from './layout.ts'
import type { BackupSummary, ManifestEntry } from './manifest.ts'
import { listBackups, ManifestWriter, openManifest, readEntries, readSummary } from './manifest-store.ts'
import { createRepository } from './repository.ts'
import { createExampleRepository, exampleFacts } from './testing/example-repository.ts'

const code = (expected: string) => (error: unknown) => isRetakeError(error) && error.code === expected

test('backups are listed oldest first, with what their summaries say', async () => {
  const { cluster, backups } = await createExampleRepository(createMemoryStore())
  const summaries = await listBackups(cluster)
  assert.deepEqual(
    summaries.map(({ backupId }) => backupId),
    backups.map(({ backupId }) => backupId),
  )
  assert.deepEqual(await readSummary(cluster, summaries[0]?.backupId as string), summaries[0])
  await assert.rejects(readSummary(cluster, '20200101T000000Z-00000000'), code('backup.missing'))
  await assert.rejects(readSummary(cluster, 'latest'), code('backup.missing'))
  await assert.rejects(Array.fromAsync(readEntries(cluster, '20200101T000000Z-00000000')), code('backup.missing'))
})

test('one damaged manifest does not hide the others', async () => {
  const store = createMemoryStore()
  const { cluster, backups } = await createExampleRepository(store)
  const key = manifestKey('main', backups[0]?.backupId as string)
  const bytes = (await store.get(key)) as Uint8Array
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1
  await store.replace(key, bytes)
  await assert.rejects(
    listBackups(cluster),
    (error) => isRetakeError(error, 'repo.damaged') && error.details.object === key,
  )
  const reported: string[] = []
  const rest = await listBackups(cluster, { onDamage: (_, backupId) => reported.push(backupId) })
  assert.deepEqual(
    rest.map(({ backupId }) => backupId),
    [backups[1]?.backupId],
  )
  assert.deepEqual(reported, [backups[0]?.backupId])
})

test('a manifest of many frames comes back line by line, in order; nothing is visible before the commit', async () => {
  const store = createMemoryStore()
  const repository = await createRepository(store, generateKey())
  const cluster = await repository.registerCluster(exampleFacts)
  const backupId = '20261122T090000Z-0000000a'
  const entries: ManifestEntry[] = Array.from({ length: 30_000 }, (_, index) => ({
    type: 'link',
    path: `link/${index}`,
    target: 'ü'.repeat(index % 100),
  }))
  await using writer = await ManifestWriter.open(cluster, backupId)
  for (const entry of entries) await writer.add(entry)
  assert.deepEqual(await listBackups(cluster), [])
  const summary = summaryOf(backupId)
  await writer.commit(summary)
  assert.ok(await store.head(runKey('main', backupId, 'done')))
  const manifest = await openManifest(cluster, backupId)
  assert.ok((manifest?.container.frames.length ?? 0) > 2)
  assert.deepEqual(await Array.fromAsync(readEntries(cluster, backupId)), entries)
  await using second = await ManifestWriter.open(cluster, backupId)
  await assert.rejects(second.commit(summary), code('repo.conflict'))
})

test('entries that break the format are a defect of the writer', async () => {
  const repository = await createRepository(createMemoryStore(), generateKey())
  const cluster = await repository.registerCluster(exampleFacts)
  await using writer = await ManifestWriter.open(cluster, '20261122T090000Z-0000000a')
  const frame = {
    pack: 0,
    index: 0,
    offsetBytes: 64,
    storedBytes: 26,
    plainBytes: 10,
    codec: 'raw',
    contentId: 'x',
  } as const
  const file = { type: 'file', path: 'a', sizeBytes: 10, mode: 0, modifiedMs: 0 } as const
  const run = { offsetBytes: 0, lengthBytes: 10, frame, frameOffsetBytes: 0 }
  await assert.rejects(writer.add({ ...file, runs: [run] }), /pack 0 was not declared/)
  await writer.add({ type: 'pack', packId: '0'.repeat(32), salt: 'A'.repeat(43), epoch: 1 })
  await writer.add({ ...file, runs: [run] })
  await assert.rejects(writer.add({ ...file, sizeBytes: 11, runs: [run] }), /they end at 10/)
  await assert.rejects(writer.add({ ...file, runs: [{ ...run, offsetBytes: 1 }] }), /begins at 1/)
  await assert.rejects(writer.commit({ ...summaryOf('20261122T090000Z-0000000a'), packCount: 2 }), /assertion/)
})

function summaryOf(backupId: string): BackupSummary {
  return {
    backupId,
    type: 'full',
    cluster: 'main',
    systemIdentifier: exampleFacts.systemIdentifier,
    serverVersionNum: 170010,
    blockSizeBytes: 8192,
    walSegmentSizeBytes: exampleFacts.walSegmentSizeBytes,
    dataChecksums: true,
    timeline: 1,
    startLsn: '0/100028',
    stopTimeline: 1,
    stopLsn: '0/200100',
    startedAt: '2026-11-22T09:00:00.000Z',
    stoppedAt: '2026-11-22T09:00:05.000Z',
    tablespaces: [{ oid: 16400, location: '/mnt/fast' }],
    fileCount: 0,
    totalBytes: 0,
    storedBytes: 0,
    packCount: 0,
    tornBlockCount: 0,
    corruptBlockCount: 0,
    retakeVersion: '0.1.0',
  }
}
