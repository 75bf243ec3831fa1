/** Delta restores of a repository that is kept in two places: what one copy has damaged, cut off or lost comes from the other. */
import assert from 'node:assert/strict'
import { cpSync, globSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDeltaStage } from '../../../test/support/delta.ts'
import '../../../test/support/leaks.ts'
import { startTestServer } from '../../../test/support/postgres.ts'
import { REFERRING_KEYS } from '../../repository/layout.ts'
import { openRepository } from '../../repository/repository.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import { createRecord } from '../../storage/mirrored/copy-record.ts'
import { openMirrored } from '../../storage/mirrored/mirrored-store.ts'
import { createSharedView } from '../../storage/mirrored/shared-view.ts'
import { openStore } from '../../storage/open.ts'
import { DEFAULT_TIME_LIMITS } from '../../storage/store-address.ts'

const harms: Readonly<Record<string, { readonly workers: number; readonly harm: (pack: string) => void }>> = {
  damaged: {
    workers: 1,
    harm: (pack) => {
      const bytes = readFileSync(pack)
      for (let at = 5_000; at < bytes.length; at += 20_000) bytes[at] = (bytes[at] ?? 0) ^ 1
      writeFileSync(pack, bytes)
    },
  },
  'cut off': { workers: 0, harm: (pack) => truncateSync(pack, 3_000) },
  missing: { workers: 1, harm: (pack) => rmSync(pack) },
}

test('a delta restore reads around what one copy has damaged, cut off or lost', async (t) => {
  await using server = await startTestServer()
  await using stage = await openDeltaStage(server)
  const { lab } = stage
  for (const [what, { workers, harm }] of Object.entries(harms)) {
    await t.test(`${what}, ${workers} threads`, async () => {
      const copies = ['origin', 'north'].map((name) => ({ name, url: lab.temp.join(`${name} ${what} ${workers}`) }))
      const members = copies.map(({ name }) => name)
      for (const { url } of copies) {
        cpSync(lab.url, url, { recursive: true })
        await createRecord(new DirectoryStore(url), {
          ...{ generation: 1, primary: 'origin', current: members, joining: [], members, reason: 'test' },
          at: '2026-01-01T00:00:00.000Z',
        })
      }
      const origin = copies[0]?.url ?? ''
      for (const pack of globSync('packs/*/*', { cwd: origin })) harm(join(origin, pack))
      // Alone it is not enough, or nothing would be shown below.
      await using alone = await openRepository(origin, lab.key)
      const lost = await alone.openCluster('main')
      await assert.rejects(stage.restoreInto(`alone ${what} ${workers}`, { cluster: lost, workers }), {
        code: 'repo.damaged',
      })
      const mirrored = await openMirrored(
        {
          copies,
          mirrorSync: 'available',
          referring: REFERRING_KEYS,
          limits: DEFAULT_TIME_LIMITS,
          shared: createSharedView(),
        },
        { open: openStore },
      )
      await using repository = await openRepository(mirrored, lab.key)
      const cluster = await repository.openCluster('main')
      const files = await stage.restoreInto(`both ${what} ${workers}`, { cluster, workers })
      assert.ok(files.fetchedBytes > 0)
    })
  }
})
