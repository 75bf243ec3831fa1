/** Compares a backup with the files of the server that it was taken of. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRelationFile } from '../../../postgres/relation-path.ts'
import type { ClusterRepository } from '../../../repository/cluster.ts'
import type { BackupSummary } from '../../../repository/manifest.ts'
import { readBackup } from './read-backup.ts'

const BLOCK = 8192

export interface ComparedServer {
  readonly cluster: ClusterRepository
  readonly server: { readonly dataDir: string; query<R extends object>(sql: string): Promise<R[]> }
}

/**
 * Compares every relation file of a backup with the server's own, while nothing writes. With checksums every byte is the same but for
 * the metapage of SP-GiST; without them hint bits may differ, which are set without a trace in the log, and nothing else.
 */
export async function assertSameFiles(lab: ComparedServer, summary: BackupSummary): Promise<number> {
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
