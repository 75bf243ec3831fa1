/** A recovered server is protected again at once under its new timeline, and its archive never collides with the old one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../src/demo/content-digest.ts'
import { listBackups } from '../../src/repository/manifest-store.ts'
import { backUp } from '../../src/sources/physical/backup.ts'
import { type Protection, protect, waitArchived, waitStreaming } from '../support/lab.ts'
import '../support/leaks.ts'
import { postgresMajors, startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: both pasts stay recoverable after a recovery`, async () => {
    await using server = await startTestServer({ major })
    await using protection = await protect(server)
    const receiver = protection.receive()
    await protection.backUp()
    await server.query("create table diary (entry text); insert into diary values ('both')")
    const [mistake] = await server.query<{ xid: string }>(
      `insert into diary values ('first only') returning pg_current_xact_id()::text as xid`,
    )
    const firstPast = await digestDatabase(server)
    await waitArchived(server)
    await receiver.stop()

    const secondPast = await continueOnSecondTimeline(protection, `before-xid:${mistake?.xid}`)
    await assertContent(protection, { at: 'latest' }, secondPast)
    await assertContent(protection, { at: 'latest', timeline: 1 }, firstPast)
    // From a backup of the first timeline, through the fork, into the second.
    const [oldest] = await listBackupIds(protection)
    await assertContent(protection, { at: 'latest', timeline: 2, backupId: oldest }, secondPast)
  })
}

async function continueOnSecondTimeline(protection: Protection, at: string): Promise<DatabaseDigest> {
  await using recovered = await restore(protection, { at })
  const [row] = await recovered.query<{ entries: string }>("select string_agg(entry, ',') as entries from diary")
  assert.equal(row?.entries, 'both')
  const receiver = protection.receive({ target: recovered.target })
  // Until its slot is there, a checkpoint may recycle the WAL between the fork and now.
  await waitStreaming(recovered)
  await recovered.query(`insert into diary values ('second only')`)
  await backUp({ cluster: protection.cluster, target: recovered.target, workers: 1 })
  await recovered.query(`insert into diary values ('second, after its backup')`)
  const content = await digestDatabase(recovered)
  await waitArchived(recovered)
  await receiver.stop()
  return content
}

async function assertContent(
  protection: Protection,
  request: { readonly at: string; readonly timeline?: number; readonly backupId?: string | undefined },
  expected: DatabaseDigest,
): Promise<void> {
  await using restored = await restore(protection, request)
  assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [], JSON.stringify(request))
}

async function listBackupIds(protection: Protection): Promise<string[]> {
  return (await listBackups(protection.cluster)).map((backup) => backup.backupId)
}
