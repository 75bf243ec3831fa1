/** F2: a manifest restores with no other manifest; deleting any backup never harms another. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { manifestKey, packKey } from '../../src/repository/layout.ts'
import { readEntries } from '../../src/repository/manifest-store.ts'
import { protect, waitArchived } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'

test('each of three backups restores alone, with the packs that it names and no other manifest', async () => {
  await using server = await startTestServer({ major: anyMajor() })
  await using protection = await protect(server)
  await using receiver = protection.receive()
  const backups: string[] = []
  for (let step = 1; step <= 3; step++) {
    await server.query(
      `create table t${step} as select g, md5((g * ${step})::text) as word from generate_series(1, 5000) g`,
    )
    backups.push((await protection.backUp()).backupId)
  }
  await server.query('delete from t1 where g % 2 = 0')
  const expected = await digestDatabase(server)
  await waitArchived(server)
  await receiver.stop()

  const packs = new Map<string, Set<string>>()
  for (const backupId of backups) {
    const named = new Set<string>()
    for await (const entry of readEntries(protection.cluster, backupId))
      if (entry.type === 'pack') named.add(entry.packId)
    packs.set(backupId, named)
  }
  for (const [index, backupId] of backups.entries()) {
    const others = backups.filter((other) => other !== backupId)
    const copy = join(protection.temp.path, `only-${index}`)
    cpSync(protection.url, copy, { recursive: true })
    for (const other of others) {
      rmSync(join(copy, manifestKey('main', other)))
      for (const pack of packs.get(other) ?? [])
        if (!packs.get(backupId)?.has(pack)) rmSync(join(copy, packKey(pack)), { force: true })
    }
    await using restored = await restore({ url: copy, key: protection.key }, { at: 'latest' })
    assert.equal(restored.plan.backup.backupId, backupId)
    assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [])
    rmSync(copy, { recursive: true })
  }
})
