import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createMemoryStore } from '../storage/memory-store.ts'
import { putCondemned, readCondemnedPacks } from './condemned.ts'
import { ContainerWriter, openContainer } from './container.ts'
import { manifestKey, packKey } from './layout.ts'
import { listNewestManifests } from './manifest-revisions.ts'
import { listBackups, openManifest, openRevision, readEntries } from './manifest-store.ts'
import { type PackPlace, type PlacedFrame, rewriteManifest } from './repack.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

async function movePack(cluster: Awaited<ReturnType<typeof createExampleRepository>>['cluster'], packId: string) {
  const name = { key: packKey(packId), kind: 'pack' } as const
  const old = await openContainer(cluster.store, cluster.sealing, name)
  assert.ok(old)
  const moved: PackPlace & { frames: PlacedFrame['frame'][] } = {
    packId: packId.slice(0, 8) + randomBytes(12).toString('hex'),
    salt: '',
    epoch: cluster.sealing.epoch,
    frames: [],
  }
  await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, {
    key: packKey(moved.packId),
    kind: 'pack',
  })
  for (const { index, contentId } of old.frames)
    moved.frames.push({
      ...(await writer.writeFrame(await old.readFrame(index), { contentId })),
      contentId: contentId as string,
    })
  await writer.commit({})
  return { ...moved, salt: Buffer.from(writer.salt).toString('base64url') }
}

test('a rewritten manifest is the next revision, counts from its commit on, and says the same of every file', async () => {
  const store = createMemoryStore()
  const { repository, cluster, backups } = await createExampleRepository(store)
  const [first, second] = backups.map(({ backupId }) => backupId) as [string, string]
  const shared = backups[0]?.packIds[0] as string
  const { frames, ...pack } = await movePack(cluster, shared)
  const before = await Array.fromAsync(readEntries(cluster, second))
  for (const backupId of [first, second]) {
    const { revision, changed } = await rewriteManifest(cluster, backupId, (placed) =>
      placed.pack.packId === shared ? { pack, frame: frames[placed.frame.index] as PlacedFrame['frame'] } : undefined,
    )
    assert.deepEqual({ revision, changed }, { revision: 1, changed: true })
    assert.ok(await store.head(manifestKey('main', backupId, 1)))
    assert.ok(await store.head(manifestKey('main', backupId)), 'the older one stays until it is condemned')
  }
  assert.deepEqual(
    [...(await listNewestManifests(cluster))],
    [
      [first, 1],
      [second, 1],
    ],
  )
  assert.equal((await openManifest(cluster, second))?.revision, 1)
  assert.equal((await openRevision(cluster, { backupId: second, revision: 0 }))?.revision, 0)
  const after = await Array.fromAsync(readEntries(cluster, second))
  const files = (entries: typeof after) =>
    entries.flatMap((entry) =>
      entry.type !== 'file' ? [] : [{ ...entry, runs: entry.runs.map(({ frame, ...run }) => [run, frame?.contentId]) }],
    )
  assert.deepEqual(files(after), files(before))
  // No manifest names the old pack any more, and nothing else is wrong.
  await store.delete(packKey(shared))
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(
    findings.map(({ severity, object }) => [severity, object]),
    [first, second].map((backupId) => ['notice', manifestKey('main', backupId)]),
  )
})

test('when no frame has moved, nothing is written', async () => {
  const store = createMemoryStore()
  const { cluster, backups } = await createExampleRepository(store)
  const backupId = backups[0]?.backupId as string
  assert.deepEqual(await rewriteManifest(cluster, backupId, () => undefined), { revision: 0, changed: false })
  assert.equal((await Array.fromAsync(store.list(manifestKey('main', backupId)))).length, 1)
})

test('the highest revision is missing though an older one was condemned for it: that is damage', async () => {
  const store = createMemoryStore()
  const { repository, cluster, backups } = await createExampleRepository(store)
  const backupId = backups[0]?.backupId as string
  const nothing = { bytes: 0, backups: [], packs: [], segments: [], walKeys: [] }
  await putCondemned(
    cluster,
    { ...nothing, why: 'replaced', revisions: [{ backupId, revision: 0 }] },
    new Date('2026-11-22T12:00:00Z'),
  )
  const { findings, ok } = await verifyRepository({ repository, depth: 'quick' })
  assert.equal(ok, false)
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'error').map(({ object, backups: of }) => [object, of]),
    [[manifestKey('main', backupId, 1), [backupId]]],
  )
})

test('a condemned backup is not listed, and what is condemned costs nothing', async () => {
  const store = createMemoryStore()
  const { repository, cluster, backups } = await createExampleRepository(store)
  const [first, second] = backups
  assert.ok(first && second)
  const only = second.packIds
  await putCondemned(
    cluster,
    { why: 'test', bytes: 1, backups: [second.backupId], packs: only, segments: [], walKeys: [], revisions: [] },
    new Date('2026-11-22T12:00:00Z'),
  )
  assert.deepEqual(
    (await listBackups(cluster)).map(({ backupId }) => backupId),
    [first.backupId],
  )
  assert.deepEqual([...(await readCondemnedPacks(cluster))].sort(), [...only].sort())
  // Whoever had begun to read it can go on.
  assert.ok(await openManifest(cluster, second.backupId))
  // In whatever order its objects go, nothing is an error.
  for (const key of [manifestKey('main', second.backupId), ...only.map(packKey)]) {
    await store.delete(key)
    assert.equal((await verifyRepository({ repository, depth: 'deep' })).ok, true, key)
  }
})
