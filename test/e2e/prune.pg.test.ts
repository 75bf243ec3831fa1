/** Backups under load, some of them given up by policy: each survivor restores, and nothing is stored but what is needed. */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRetakeError } from '../../src/base/errors.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../src/demo/content-digest.ts'
import { assembleRetake, retakeSettings } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { applyRestore, planRestore } from '../../src/engine/restore.ts'
import { holdBackup } from '../../src/engine/retention.ts'
import { assertNothingLeft } from '../../src/engine/testing/prune-stage.ts'
import { readWindow } from '../../src/engine/window.ts'
import type { BackupSummary } from '../../src/repository/manifest.ts'
import { listBackups } from '../../src/repository/manifest-store.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { protect, waitArchived } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, startTestServer, type TestServer } from '../support/postgres.ts'
import { type RestoreSource, restore } from '../support/restore.ts'

const BACKUPS = 5

test('survivors of pruning restore exactly, and what is stored is what is referred to', async (t) => {
  const seed = Date.now() % 1_000_000
  t.diagnostic(`seed ${seed}`)
  const random = new Random(seed, 0x7072)
  await using server = await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1 })
  await using protection = await protect(server)
  await using receiver = protection.receive()
  await server.query('create table log as select g as id, md5(g::text) as word from generate_series(1, 20000) g')
  await server.query('create table quiet as select g as id, md5(g::text) as word from generate_series(1, 20000) g')
  const backups: BackupSummary[] = []
  for (let round = 0; round < BACKUPS; round++) {
    const load = startLoad(server, round)
    backups.push(await protection.backUp())
    await load.stop()
  }
  const expected = await digestDatabase(server)
  await waitArchived(server)

  const settings = retakeSettings({ cluster: 'main', directory: protection.temp.path })
  const retake = assembleRetake(settings, protection.repository)
  const held = random.pick(backups.slice(0, -2))
  await holdBackup(retake, { backupId: held.backupId, reason: 'wanted' })
  const copy = { url: join(protection.temp.path, 'before'), key: protection.key }
  cpSync(protection.url, copy.url, { recursive: true })
  const policy = { days: 0, count: 2 }
  const [gone] = backups.filter(({ backupId }) => backupId !== held.backupId)
  assert.ok(gone)
  const to = join(protection.temp.path, 'too-late')
  const plan = await planRestore(retake, { at: `lsn:${gone.stopLsn}`, backupId: gone.backupId, to, start: false })
  const report = await prune(retake, { policy }).result
  // Given up and still there: whoever begins now is told so; nothing of it is deleted before its time.
  await assert.rejects(
    applyRestore(retake, plan).result,
    (error) => isRetakeError(error, 'plan.stale') && /given up/.test(error.message),
  )
  assert.equal(report.deleted.objects, 0)
  const { deleted } = await prune(retake, { policy, graceHours: 0 }).result
  // WAL that is received meanwhile stays, and the receiver goes on.
  await server.query("insert into log values (0, 'after pruning')")
  await waitArchived(server)
  await receiver.stop()

  const kept = [held, ...backups.slice(-2)].map(({ backupId }) => backupId)
  assert.deepEqual(
    (await listBackups(protection.cluster)).map(({ backupId }) => backupId),
    kept,
  )
  assert.equal(report.givenUp.backups.length, BACKUPS - 3)
  assert.ok(report.givenUp.segments > 0 && deleted.objects > 0)
  const deep = await verifyRepository({ repository: protection.repository, depth: 'deep' })
  assert.deepEqual(deep.findings, [])
  await assertNothingLeft(retake)
  const { windows, strandedBackups } = await readWindow(retake)
  assert.deepEqual(strandedBackups, [])
  assert.ok(windows.some(({ backups: inside }) => inside.includes(held.backupId)))

  // The held one has lost the WAL behind it: it restores to its own end, as it did before.
  const own = { at: `lsn:${held.stopLsn}`, backupId: held.backupId }
  assert.deepEqual(compareDigests(await restored(copy, own), await restored(protection, own)), [])
  const found = await restored(protection, { at: 'latest' })
  await server.query('delete from log where id = 0')
  assert.deepEqual(
    compareDigests(expected, await digestDatabase(server)),
    [],
    'the server is what it was but for the last row',
  )
  await server.query("insert into log values (0, 'after pruning')")
  assert.deepEqual(compareDigests(await digestDatabase(server), found), [])
})

async function restored(
  source: RestoreSource,
  request: { readonly at: string; readonly backupId?: string },
): Promise<DatabaseDigest> {
  await using recovered = await restore(source, request)
  return await digestDatabase(recovered)
}

/** Writes until it is stopped. */
function startLoad(server: TestServer, round: number): { stop(): Promise<void> } {
  let running = true
  const done = (async () => {
    for (let step = 0; running; step++) {
      const id = round * 10_000 + step
      await server.query(`update log set word = md5('${id}' || id) where id % 97 = ${step % 97}`)
      await server.query(`insert into log values (${100_000 + id}, 'round ${round}')`)
    }
  })()
  return {
    async stop() {
      running = false
      await done
    },
  }
}
