/** The journal of real servers: kept while WAL is received, and the same as the log says. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { postgresMajors, startTestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { startLoad } from '../../../test/support/wal-load.ts'
import { runWorkload, workloadSettings } from '../../../test/support/wal-workload.ts'
import { sleep } from '../../base/abort.ts'
import type { JournalTransaction } from '../../journal/block.ts'
import type { JournalMark } from '../../journal/mark.ts'
import { readJournal } from '../../journal/read.ts'
import { scanLog } from '../../journal/scan.ts'
import { readHeldArchive } from '../../recovery/held-archive.ts'
import { choosePath } from '../../recovery/plan.ts'
import { openWalLog } from '../../recovery/wal-log.ts'
import { listJournalChunks } from '../../repository/journal-chunks.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { listClusterBackups } from '../backups.ts'
import { initialise } from '../initialise.ts'
import { openRetake, type Retake } from '../open.ts'
import { receiveWal } from '../receive-wal.ts'
import { updateJournal } from './update.ts'

/** The oldest and the newest; what the log of the others says is tried with the assembler. */
const majors = new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])

for (const major of majors) {
  describe(`PostgreSQL ${major}`, () => {
    test('is kept beside the reception, and says what the log says', { timeout: 120_000 }, async () => {
      await using temp = makeTemp({ label: 'journal' })
      await using server = await startTestServer({ major, settings: workloadSettings, walSegmentSizeMb: 1 })
      const options = { repo: temp.join('repo'), databaseUrl: server.url, key: formatKeyText(generateKey().bytes) }
      await initialise(options)
      await using retake = await openRetake(options)
      const cluster = await retake.cluster()
      const stop = new AbortController()
      const receiving = receiveWal(retake, { signal: stop.signal }).result
      {
        await using _load = startLoad(server)
        await runWorkload(server)
        while ((await listJournalChunks(cluster)).length === 0) await sleep(50)
      }
      stop.abort()
      await receiving
      await receiveWal(retake, { until: { kind: 'caught-up' } }).result
      await updateJournal(retake).result
      assert.equal((await updateJournal(retake).result).stored, 0)
      const stored = await tell(retake, readJournal)
      assert.ok(stored.sources && stored.sources.storedLogBytes >= 16 * 1024 * 1024)
      const scanned = await tell(retake, scanLog)
      assert.ok(scanned.transactions.length > 200)
      assert.deepEqual(stored.transactions, scanned.transactions)
      assert.deepEqual(stored.marks, scanned.marks)
    })
  })
}

async function tell(retake: Retake, read: typeof readJournal | typeof scanLog) {
  const cluster = await retake.cluster()
  const held = await readHeldArchive(cluster)
  const { backups } = await listClusterBackups(cluster)
  const log = openWalLog(cluster, { held, path: choosePath({ held, backups, timeline: undefined }) })
  const [range] = log.coverage.ranges
  assert.ok(range)
  const transactions: JournalTransaction[] = []
  const marks: JournalMark[] = []
  const sources = await read(log, range, {
    onTransaction: (one) => transactions.push(one),
    onMark: (one) => marks.push(one),
  })
  return { transactions, marks, sources: sources ?? undefined }
}
