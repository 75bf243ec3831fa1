/** What must hold of an archive whose receiver was killed or failed, once it has caught up. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { segmentName } from '../../src/postgres/lsn.ts'
import { readWalInventory } from '../../src/repository/wal-archive.ts'
import { readArchive } from '../../src/sources/physical/testing/read-wal.ts'
import type { Protection } from './lab.ts'

/** No hole, and every byte the server's own. */
export async function assertWholeLog(lab: Protection): Promise<void> {
  const segmentSizeBytes = lab.cluster.facts.walSegmentSizeBytes
  const archived = await readArchive(lab.cluster)
  assert.ok(archived.length > 2)
  for (const [index, { segment, timeline, bytes, form }] of archived.entries()) {
    assert.equal(segment, (archived[0]?.segment ?? 0n) + BigInt(index), 'segments follow each other')
    assert.equal(form, index === archived.length - 1 && bytes.length < segmentSizeBytes ? 'tail' : 'full')
    const file = join(lab.server.dataDir, 'pg_wal', segmentName({ timeline, segment }, segmentSizeBytes))
    assert.ok(readFileSync(file).subarray(0, bytes.length).equals(bytes), "every byte is the server's")
  }
  assert.deepEqual(
    (await readWalInventory(lab.cluster)).ranges.map(({ reason }) => reason),
    ['first-contact'],
  )
}
