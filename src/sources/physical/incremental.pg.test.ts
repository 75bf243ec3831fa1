import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { churn, installChurn } from '../../../test/support/churn.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRelationFile } from '../../postgres/relation-path.ts'
import { manifestKey } from '../../repository/layout.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { readBackup } from './testing/read-backup.ts'

const BLOCK = 8192
const ROWS = 6_000

/**
 * Compares every relation file of a backup with the server's own, while nothing writes. With checksums every byte is the same but for
 * the metapage of SP-GiST; without them hint bits may differ, which are set without a trace in the log, and nothing else.
 */
async function assertSameFiles(lab: Protection, summary: BackupSummary): Promise<number> {
  const { server } = lab
  const spgist = await server.query<{ path: string }>(
    `select pg_relation_filepath(c.oid) as path from pg_class c join pg_am a on a.oid = relam where amname = 'spgist' and c.relkind = 'i'`,
  )
  const metapages = new Set(spgist.map(({ path }) => `${path}:0`))
  const backup = await readBackup(lab.cluster, summary.backupId)
  let pages = 0
  for (const { path } of backup.files) {
    if (!isRelationFile(path)) continue
    const held = await backup.readFile(path)
    const actual = readFileSync(join(server.dataDir, path))
    assert.equal(held.length, actual.length, `${path} has the length that it has on the server`)
    pages += actual.length / BLOCK
    if (held.equals(actual)) continue
    for (let page = 0; page * BLOCK < actual.length; page++) {
      const [mine, theirs] = [held, actual].map((bytes) => bytes.subarray(page * BLOCK, (page + 1) * BLOCK))
      if (mine?.equals(theirs ?? mine) || metapages.has(`${path}:${page}`)) continue
      assert.ok(!summary.dataChecksums, `page ${page} of ${path} is as on the server`)
      assert.equal(isRelationFile(path)?.fork, 'main', `page ${page} of ${path} is as on the server`)
      // LSN, and everything of the header but hints: pd_prune_xid is one, and two of the flags.
      assert.ok(mine?.subarray(0, 8).equals(theirs?.subarray(0, 8) ?? mine), `page ${page} of ${path} has its LSN`)
      assert.equal(
        (mine?.readUInt16LE(10) ?? 0) & 4,
        (theirs?.readUInt16LE(10) ?? 0) & 4,
        `${path} ${page}: all-visible`,
      )
      assert.ok(mine?.subarray(12, 20).equals(theirs?.subarray(12, 20) ?? mine))
    }
  }
  return pages
}

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
