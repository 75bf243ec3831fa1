import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect, waitArchived } from '../../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { historyName, parseLsn, segmentName } from '../../postgres/lsn.ts'
import { LocalServer } from '../../postgres/server/local-server.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { readWalInventory } from '../../repository/wal-archive.ts'
import { parseWalKey } from '../../repository/wal-layout.ts'
import { readHistory } from '../../repository/wal-records.ts'
import { receiveWal } from './receiver.ts'
import { readArchive } from './testing/read-wal.ts'
import { startReceiver } from './testing/receive.ts'
import { hookedStore } from './testing/recording-store.ts'

const SETTINGS = { wal_keep_size: '1GB', restore_command: 'false' }

/** The server comes back as a restored copy of itself: it recovers, promotes, and is on the next timeline. */
async function promote(server: TestServer): Promise<void> {
  await server.stop()
  writeFileSync(join(server.dataDir, 'recovery.signal'), '')
  execFileSync('chown', ['--reference', join(server.dataDir, 'PG_VERSION'), join(server.dataDir, 'recovery.signal')])
  await server.restart()
  for (;;) {
    const [row] = await server.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering')
    if (row?.recovering === false) return
  }
}

async function fill(server: TestServer, rows: number): Promise<void> {
  await server.query('create table if not exists filler (body text)')
  await server.query(`insert into filler select repeat(md5(g::text), 10) from generate_series(1, ${rows}) g`)
}

/** Timelines in the order in which their first WAL and their history became visible. */
function recordOrder(cluster: ClusterRepository): { readonly cluster: ClusterRepository; readonly order: string[] } {
  const order: string[] = []
  const store = hookedStore(cluster.store, {
    after(action, key) {
      if (action === 'open' || action === 'get' || action === 'head') return
      const parsed = parseWalKey(cluster.facts.name, key)
      if (parsed?.type === 'history') order.push(`history ${parsed.timeline}`)
      if (parsed?.type === 'tail' && action === 'append') order.push(`wal ${parsed.timeline}`)
    },
  })
  return { cluster: { ...cluster, store }, order: order }
}

async function assertWholePath(server: TestServer, cluster: ClusterRepository): Promise<void> {
  const { ranges, position } = await readWalInventory(cluster)
  assert.deepEqual(
    ranges.map(({ timeline, reason }) => `${timeline} ${reason}`),
    ['1 first-contact', '2 new-timeline', '3 new-timeline'],
  )
  assert.equal(position?.timeline, 3)
  for (const timeline of [2, 3]) {
    const stored = await readHistory(cluster, timeline)
    assert.ok(stored && Buffer.from(stored).equals(readFileSync(join(server.dataDir, 'pg_wal', historyName(timeline)))))
  }
  const archived = await readArchive(cluster)
  const { walSegmentSizeBytes } = cluster.facts
  let compared = 0
  for (const { timeline, segment, bytes } of archived) {
    const file = join(server.dataDir, 'pg_wal', segmentName({ timeline, segment }, walSegmentSizeBytes))
    if (!existsSync(file)) continue
    assert.ok(readFileSync(file).subarray(0, bytes.length).equals(bytes), `${file} is the server's`)
    compared++
  }
  assert.ok(compared >= 3)
  // A timeline that was left ends where its successor begins, and its last segment is no tail any more.
  for (const timeline of [1, 2]) {
    const successor = archived.filter((piece) => piece.timeline === timeline + 1)
    const own = archived.filter((piece) => piece.timeline === timeline)
    assert.equal(own.at(-1)?.segment, successor[0]?.segment)
    assert.equal(own.at(-1)?.form, 'partial')
  }
}

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: a running receiver follows the server to new timelines, history first`, async () => {
    await using server = await startTestServer({ major, walSegmentSizeMb: 1, settings: SETTINGS })
    await using lab = await protect(server)
    const { cluster, order } = recordOrder(lab.cluster)
    await using receiver = startReceiver({ cluster, target: server.target, slot: lab.slot, thread: false })
    await fill(server, 2_000)
    await waitArchived(server)
    for (let round = 0; round < 2; round++) {
      await promote(server)
      await fill(server, 2_000)
      await waitArchived(server)
    }
    await receiver.stop()
    await assertWholePath(server, lab.cluster)
    const firsts = order.filter((entry, index) => order.indexOf(entry) === index)
    assert.deepEqual(firsts, ['wal 1', 'history 2', 'wal 2', 'history 3', 'wal 3'])
  })
}

test('a receiver that was away finishes the old timelines first', async () => {
  await using server = await startTestServer({ walSegmentSizeMb: 1, settings: SETTINGS })
  await using lab = await protect(server)
  const options = { cluster: lab.cluster, target: server.target, slot: lab.slot }
  await fill(server, 1_000)
  await receiveWal({ ...options, until: { kind: 'caught-up' } })
  for (let round = 0; round < 2; round++) {
    await fill(server, 3_000)
    await promote(server)
  }
  await fill(server, 1_000)
  const { flushLsn, timeline } = await receiveWal({ ...options, until: { kind: 'caught-up' } })
  assert.equal(timeline, 3)
  assert.ok(flushLsn >= parseLsn(await server.currentLsn()))
  await assertWholePath(server, lab.cluster)
})

test('two servers that were promoted to the same timeline are told apart, and the left-behind one is refused', async () => {
  await using server = await startTestServer({ settings: SETTINGS })
  await using lab = await protect(server)
  const options = { cluster: lab.cluster, slot: lab.slot }
  await fill(server, 1_000)
  await receiveWal({ ...options, target: server.target, until: { kind: 'caught-up' } })
  await server.stop()
  const copy = join(server.directory, 'copy')
  execFileSync('cp', ['-Rp', server.dataDir, copy])
  await promote(server)
  await fill(server, 100)
  await receiveWal({ ...options, target: server.target, until: { kind: 'caught-up' } })
  const archived = await readArchive(lab.cluster)
  const refuse = async (word: RegExp) => {
    await using twin = await LocalServer.start({ binDir: server.binDir, dataDir: copy, settings: { ...SETTINGS } })
    const attempt = receiveWal({ ...options, target: twin.target('postgres'), retryDelayMs: () => 20 })
    await assert.rejects(attempt, (error) => isRetakeError(error, 'wal.diverged') && word.test(error.message))
  }
  await refuse(/older timeline 1/)
  // It has written more before it is promoted as well, so it branches off elsewhere. The receiver waits while it recovers.
  {
    await using twin = await LocalServer.start({ binDir: server.binDir, dataDir: copy, settings: { ...SETTINGS } })
    await twin.stop()
  }
  writeFileSync(join(copy, 'recovery.signal'), '')
  execFileSync('chown', ['--reference', join(copy, 'PG_VERSION'), join(copy, 'recovery.signal')])
  await refuse(/same timeline 2/)
  assert.deepEqual(await readArchive(lab.cluster), archived)
})
