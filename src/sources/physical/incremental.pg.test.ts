import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { churn, installChurn } from '../../../test/support/churn.ts'
import { protect } from '../../../test/support/lab.ts'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { manifestKey } from '../../repository/layout.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { assertSameFiles } from './testing/compare-files.ts'

const ROWS = 6_000

async function settle(server: TestServer): Promise<void> {
  // Twice: the second writes what the first one's hint bits made dirty.
  await server.query('checkpoint')
  await server.query('checkpoint')
}

interface Variant {
  readonly major: number
  readonly checksums: boolean
  readonly summaries: boolean
}

/** Each major once, one of them with and without checksums, and with the server's summaries where there are any. */
function variants(): Variant[] {
  const chosen = postgresMajors().map((major) => ({ major, checksums: major % 2 === 0, summaries: major === 18 }))
  const any = anyMajor()
  return [...chosen, { major: any, checksums: any % 2 === 1, summaries: any >= 17 }]
}

for (const { major, checksums, summaries } of variants()) {
  const name = `PostgreSQL ${major}, checksums ${checksums ? 'on' : 'off'}${summaries ? ', WAL summaries' : ''}`
  test(`${name}: whatever happens to files, an increment holds them as they are`, async () => {
    const settings = { autovacuum: 'off', ...(summaries ? { summarize_wal: 'on' } : {}) }
    await using server = await startTestServer({ major, checksums, settings })
    await installChurn(server, ROWS)
    await using lab = await protect(server)
    // With summaries: of files that the server never sent, so its manifest is composed.
    const first = await lab.backUp({ via: summaries ? 'files' : 'replication' })
    assert.deepEqual([first.type, first.reason, first.parent], ['full', undefined, undefined])
    let parent = first
    for (let round = 0; round < 8; round++) {
      await churn(server, round, ROWS)
      await settle(server)
      // With summaries it is the server that sends, unless its files are asked for.
      const via = round % 2 === 0 ? 'replication' : summaries ? undefined : 'files'
      const summary = await lab.backUp(via ? { via } : {})
      assert.equal(summary.via, via ?? 'replication')
      assert.deepEqual(
        [summary.type, summary.parent, summary.changeSource],
        ['incremental', parent.backupId, summaries ? 'wal-summaries' : 'page-lsn'],
        summary.reason,
      )
      assert.ok(summary.storedBytes < first.storedBytes, `${summary.storedBytes} of ${first.storedBytes} bytes`)
      if (round % 2 === 1) assert.ok((await assertSameFiles(lab, summary)) > 1000)
      parent = summary
    }
    // Nothing but the last is needed.
    for await (const { key } of lab.cluster.store.list('clusters/main/backups/')) {
      if (key !== manifestKey('main', parent.backupId)) await lab.cluster.store.delete(key)
    }
    const { findings } = await verifyRepository({ repository: lab.repository, depth: 'deep' })
    assert.deepEqual(
      findings.filter(({ object, severity }) => object.startsWith('packs/') && severity === 'error'),
      [],
    )
    await assertSameFiles(lab, parent)
  })
}
