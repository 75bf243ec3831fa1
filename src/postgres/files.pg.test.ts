/** The files of real clusters: control file, pages, timelines. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { postgresMajors, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { parseControlFile } from './control-file.ts'
import { formatLsn, historyName, segmentName, segmentOf, segmentStart } from './lsn.ts'
import { findBadPages, pageLsn } from './page.ts'
import { isRelationFile } from './relation-path.ts'
import { serverAccount } from './server/account.ts'
import { parseTimelineHistory, timelineAt } from './timeline.ts'
import { isLandmarkRecord, landmarkOf } from './wal/landmarks.ts'
import { WalReader } from './wal/reader.ts'

const CONTROLDATA = '/usr/lib/postgresql/15/bin/pg_controldata'
const segmentSizeBytes = 1024 * 1024

for (const major of postgresMajors()) {
  describe(`the files of PostgreSQL ${major}`, () => {
    let server: TestServer
    const control = () => parseControlFile(readFileSync(path.join(server.dataDir, 'global', 'pg_control')))

    before(async () => {
      server = await startTestServer({
        major,
        walSegmentSizeMb: 1,
        settings: { max_connections: '33', max_worker_processes: '7' },
      })
      await server.query('create table item as select n as id, md5(n::text) as body from generate_series(1, 20000) n')
      await server.query('create unlogged table scratch as select * from item')
      await server.query('create index on item (body)')
      await server.query('vacuum item')
      await server.query('checkpoint')
    })
    after(() => server[Symbol.asyncDispose]())

    test('the control file says what the server says', async () => {
      const held = control()
      const [row] = await server.query(`
        select s.system_identifier::text as "systemIdentifier", s.pg_control_version as "controlVersion", s.catalog_version_no as "catalogVersion",
          c.checkpoint_lsn::text as checkpoint, c.redo_lsn::text as redo, c.timeline_id as "checkpointTimeline", c.full_page_writes as "fullPageWrites",
          r.min_recovery_end_lsn::text as minimum, r.min_recovery_end_timeline as "minRecoveryTimeline", r.backup_start_lsn::text as "backupStart",
          r.end_of_backup_record_required as "backupEndRequired", i.database_block_size as "blockSizeBytes",
          i.blocks_per_segment as "relationSegmentBlocks", i.wal_block_size as "walBlockSizeBytes",
          i.bytes_per_wal_segment as "walSegmentSizeBytes", i.data_page_checksum_version as "dataChecksumVersion"
        from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r, pg_control_init() i`)
      assert.deepEqual(row, {
        systemIdentifier: held.systemIdentifier,
        controlVersion: held.controlVersion,
        catalogVersion: held.catalogVersion,
        checkpoint: formatLsn(held.checkpointLsn),
        redo: formatLsn(held.redoLsn),
        checkpointTimeline: held.checkpointTimeline,
        fullPageWrites: held.fullPageWrites,
        minimum: formatLsn(held.minRecoveryLsn),
        minRecoveryTimeline: held.minRecoveryTimeline,
        backupStart: formatLsn(held.backupStartLsn),
        backupEndRequired: held.backupEndRequired,
        blockSizeBytes: held.blockSizeBytes,
        relationSegmentBlocks: held.relationSegmentBlocks,
        walBlockSizeBytes: held.walBlockSizeBytes,
        walSegmentSizeBytes: held.walSegmentSizeBytes,
        dataChecksumVersion: held.dataChecksumVersion,
      })
      assert.equal(held.major, major)
      assert.equal(held.state, 'in production')
      assert.equal(held.walLevel, 'replica')
      const settings = [
        held.maxConnections,
        held.maxWorkerProcesses,
        held.maxWalSenders,
        held.maxPreparedTransactions,
        held.maxLocksPerTransaction,
      ]
      assert.deepEqual(settings, [33, 7, 10, 0, 64])
    })

    test('every page of every relation matches its checksum, and a change of any is found', async () => {
      await server.query('checkpoint')
      const files = readdirSync(server.dataDir, { recursive: true })
        .map(String)
        .filter((name) => isRelationFile(name) !== undefined)
      const forks = new Set(files.map((name) => isRelationFile(name)?.fork))
      assert.deepEqual([...forks].sort(), ['fsm', 'init', 'main', 'vm'])
      let pages = 0
      for (const name of files) {
        const bytes = readFileSync(path.join(server.dataDir, name))
        assert.deepEqual(findBadPages(bytes, { firstBlockNumber: 0, blockSizeBytes: 8192 }), [], name)
        pages += bytes.length / 8192
      }
      assert.ok(pages > 2000)
      const [table] = await server.query<{ file: string }>(`select pg_relation_filepath('item') as file`)
      const bytes = readFileSync(path.join(server.dataDir, table!.file))
      const newest = pageLsn(new Int32Array(bytes.buffer, bytes.byteOffset, 2048))
      assert.ok(newest > 0n && newest <= control().checkpointLsn)
      const wrongPlace = findBadPages(bytes.subarray(0, 5 * 8192), { firstBlockNumber: 1, blockSizeBytes: 8192 })
      assert.equal(wrongPlace.length, 5)
    })

    test('a promotion is seen in the history file and in the log', async () => {
      await server.stop()
      assert.equal(control().state, 'shut down')
      if (major === 15 && existsSync(CONTROLDATA)) compareWithControldata(server.dataDir)
      const signal = path.join(server.dataDir, 'standby.signal')
      writeFileSync(signal, '')
      await server.restart()
      assert.equal(control().state, 'in archive recovery')
      await server.query('select pg_promote()')
      await server.query('create table after_promotion (id int)')

      const history = parseTimelineHistory(2, readFileSync(path.join(server.dataDir, 'pg_wal', historyName(2)), 'utf8'))
      assert.equal(history.entries.length, 1)
      const switchLsn = history.entries[0]!.switchLsn
      assert.equal(timelineAt(history, switchLsn - 1n), 1)
      assert.equal(timelineAt(history, switchLsn), 2)

      const segment = segmentOf(switchLsn, segmentSizeBytes)
      const file = path.join(server.dataDir, 'pg_wal', segmentName({ timeline: 2, segment }, segmentSizeBytes))
      const startLsn = segmentStart(segment, segmentSizeBytes)
      const reader = new WalReader({ segmentSizeBytes, startLsn, timeline: 2, wanted: isLandmarkRecord })
      const landmarks = reader.push(readFileSync(file)).map((record) => landmarkOf(record, major))
      const begin = landmarks.find((landmark) => landmark?.type === 'end-of-recovery')
      assert.ok(begin?.type === 'end-of-recovery')
      assert.deepEqual([begin.timeline, begin.previousTimeline], [2, 1])
      assert.ok(begin.lsn >= switchLsn)
      assert.equal(reader.timeline, 2)
      assert.ok(landmarks.some((landmark) => landmark?.type === 'commit' && landmark.lsn > begin.lsn))
      assert.throws(
        () => new WalReader({ segmentSizeBytes, startLsn, timeline: 1 }).push(readFileSync(file)),
        /timeline 2, but timeline 1/,
      )
    })
  })
}

function compareWithControldata(dataDir: string): void {
  const account = serverAccount(dataDir)
  const text = execFileSync(CONTROLDATA, ['-D', dataDir], { env: { LC_ALL: 'C' }, cwd: '/', ...account }).toString()
  const shown = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const held = parseControlFile(readFileSync(path.join(dataDir, 'global', 'pg_control')))
  assert.equal(shown.get('Database system identifier'), held.systemIdentifier)
  assert.equal(shown.get('Database cluster state'), held.state)
  assert.equal(shown.get('Latest checkpoint location'), formatLsn(held.checkpointLsn))
  assert.equal(shown.get("Latest checkpoint's REDO location"), formatLsn(held.redoLsn))
  assert.equal(shown.get("Latest checkpoint's TimeLineID"), String(held.checkpointTimeline))
  assert.equal(shown.get('wal_level setting'), held.walLevel)
  assert.equal(shown.get('wal_log_hints setting'), held.walLogHints ? 'on' : 'off')
  assert.equal(shown.get('max_connections setting'), String(held.maxConnections))
  assert.equal(shown.get('max_locks_per_xact setting'), String(held.maxLocksPerTransaction))
  assert.equal(shown.get('track_commit_timestamp setting'), held.trackCommitTimestamp ? 'on' : 'off')
  assert.equal(shown.get('Bytes per WAL segment'), String(held.walSegmentSizeBytes))
  assert.equal(shown.get('Data page checksum version'), String(held.dataChecksumVersion))
}
