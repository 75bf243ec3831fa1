/** Our reading of the log against PostgreSQL's own (`pg_walinspect`), record for record. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { parseControlFile } from '../control-file.ts'
import { formatLsn, type Lsn, parseLsn } from '../lsn.ts'
import { isLandmarkRecord, landmarkOf, type TransactionEnd, type WalLandmark } from './landmarks.ts'
import { parseWalPageHeader } from './page-header.ts'
import { WalReader } from './reader.ts'
import type { WalRecord } from './record.ts'
import { readServerLog, type ServerLog } from './testing/server-log.ts'

/** Writes all kinds of records, and returns the first transaction whose time the server has kept. */
async function makeHistory(server: TestServer): Promise<number> {
  const [first] = await server.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  await server.query('create extension pg_walinspect')
  await server.query('create table item (id int primary key, body text)')
  for (let round = 0; round < 5; round += 1) {
    await server.query(
      `insert into item select ${round} * 500 + n, repeat(md5(n::text), 20) from generate_series(1, 500) n`,
    )
    await server.query(`update item set body = 'short' where id % 7 = ${round}`)
  }
  await server.query('checkpoint')
  await server.query(`select pg_create_restore_point('before_the_change')`)
  // Transactions with everything that their records can carry.
  await server.query(
    `begin; savepoint a; insert into item values (-1, 'a'); savepoint b; delete from item where id = -1; commit`,
  )
  await server.query(`begin; drop table if exists gone; create table gone as select * from item; rollback`)
  await server.query(`create table dropped as select * from item; drop table dropped`)
  for (const end of ['commit prepared', 'rollback prepared']) {
    await server.query(`begin; savepoint s; create table made_${end.split(' ')[0]} (id int primary key); drop table item cascade;
      create table item (id int primary key, body text); prepare transaction 'two phases'`)
    await server.query(`${end} 'two phases'`)
  }
  // A record of more than three segments, and one that ends right after a switch.
  await server.query(`select pg_logical_emit_message(true, 'long', repeat('0123456789', 320000))`)
  await server.query('select pg_switch_wal()')
  await server.query(
    `insert into item select n, 'after the switch' from generate_series(1, 100) n on conflict do nothing`,
  )
  await server.query('select pg_switch_wal()')
  await server.query('vacuum full item')
  await server.query(`select pg_create_restore_point(repeat('n', 63))`)
  // A restore point alone is not flushed; this commit does it.
  await server.query('create table last (id int)')
  return Number(first?.xid)
}

interface Inspected {
  start: string
  end: string
  xid: string
  rmgr: string
  bytes: number
}

const RMGR_NAMES = new Map([
  [0, 'XLOG'],
  [1, 'Transaction'],
  [2, 'Storage'],
  [10, 'Heap'],
  [11, 'Btree'],
  [21, 'LogicalMessage'],
])

for (const major of postgresMajors()) {
  for (const walSegmentSizeMb of major === 17 ? [1, 16] : [1]) {
    describe(`the log of PostgreSQL ${major} in segments of ${walSegmentSizeMb} MB`, () => {
      const segmentSizeBytes = walSegmentSizeMb * 1024 * 1024
      let server: TestServer
      let log: ServerLog
      let records: WalRecord[]
      let landmarks: WalLandmark[]
      let reader: WalReader
      let systemIdentifier: string
      let firstTracked: number

      before(async () => {
        server = await startTestServer({
          major,
          walSegmentSizeMb,
          settings: {
            wal_level: 'logical',
            wal_keep_size: '1GB',
            track_commit_timestamp: 'on',
            max_prepared_transactions: '4',
            autovacuum: 'off',
            wal_compression: 'pglz',
          },
        })
        firstTracked = await makeHistory(server)
        log = readServerLog(server.dataDir, segmentSizeBytes)
        const control = readFileSync(path.join(server.dataDir, 'global', 'pg_control'))
        systemIdentifier = parseControlFile(control).systemIdentifier
        reader = new WalReader({ startLsn: log.startLsn, segmentSizeBytes, timeline: 1, systemIdentifier })
        records = reader.push(log.bytes)
        landmarks = records.map((record) => landmarkOf(record, major)).filter((landmark) => landmark !== undefined)
      })
      after(() => server[Symbol.asyncDispose]())

      test('has the records that pg_walinspect shows, to the end', async () => {
        const endLsn = await server.currentLsn()
        const query = `select start_lsn::text as start, end_lsn::text as "end", xid::text, resource_manager as rmgr,
          record_length::int as bytes from pg_get_wal_records_info($1, $2)`
        const inspected = await server.query<Inspected>(query, [formatLsn(records[0]!.lsn), endLsn])
        const ours = records.filter((record) => record.lsn < parseLsn(endLsn))
        assert.ok(inspected.length > 5000)
        assert.deepEqual(
          ours.map((record) => ({
            start: formatLsn(record.lsn),
            end: formatLsn(record.endLsn),
            xid: String(record.xid),
            bytes: record.totalBytes,
          })),
          inspected.map(({ start, end, xid, bytes }) => ({ start, end, xid, bytes })),
        )
        for (const [rmgr, name] of RMGR_NAMES) {
          const seen = ours.filter((record) => record.rmgr === rmgr)
          assert.deepEqual(
            seen.map((record) => formatLsn(record.lsn)),
            inspected.filter((record) => record.rmgr === name).map((record) => record.start),
          )
        }
        assert.equal(reader.validEndLsn, records.at(-1)?.endLsn)
        assert.ok(reader.validEndLsn >= parseLsn(endLsn))
        assert.equal(reader.major, major)
        assert.equal(reader.timeline, 1)
        assert.ok(reader.end === 'zeros' || reader.end === 'recycled-page')
      })

      test('has the time of every commit', async () => {
        const commits = landmarks.filter(
          (landmark): landmark is TransactionEnd => landmark.type === 'commit' || landmark.type === 'commit-prepared',
        )
        const known = await server.query<{ xid: string; at: string }>(
          `select xid::text, (extract(epoch from pg_xact_commit_timestamp(xid)) * 1000000)::bigint::text as at
           from unnest($1::text[]::xid[]) xid where pg_xact_commit_timestamp(xid) is not null`,
          [commits.map((commit) => String(commit.xid)).filter((xid) => Number(xid) >= firstTracked)],
        )
        assert.ok(known.length >= 15)
        const times = new Map(commits.map((commit) => [String(commit.xid), String(commit.at)]))
        for (const { xid, at } of known) assert.equal(times.get(xid), at, `xid ${xid}`)
        const prepared = commits.filter((commit) => commit.type === 'commit-prepared')
        assert.equal(prepared.length, 1)
        assert.ok(known.some(({ xid }) => Number(xid) === prepared[0]?.xid))
      })

      test('has the aborts, with the transaction that was prepared', async () => {
        const aborted = landmarks.filter((landmark) => landmark.type === 'abort' || landmark.type === 'abort-prepared')
        assert.ok(aborted.some((landmark) => landmark.type === 'abort-prepared'))
        for (const { xid } of aborted as TransactionEnd[]) {
          const [row] = await server.query('select pg_xact_status($1::text::xid8) as status', [String(xid)])
          assert.deepEqual(row, { status: 'aborted' })
        }
      })

      test('has the restore points, switches and checkpoints', async () => {
        const names = landmarks.flatMap((landmark) => (landmark.type === 'restore-point' ? [landmark.name] : []))
        assert.deepEqual(names, ['before_the_change', 'n'.repeat(63)])
        const switches = landmarks.filter((landmark) => landmark.type === 'switch')
        assert.ok(switches.length >= 2)
        for (const { endLsn } of switches) assert.equal(endLsn % BigInt(segmentSizeBytes), 0n)
        const checkpoint = landmarks.findLast((landmark) => landmark.type === 'checkpoint')
        const [row] = await server.query('select checkpoint_lsn::text, redo_lsn::text from pg_control_checkpoint()')
        assert.ok(checkpoint?.type === 'checkpoint' && checkpoint.fullPageWrites)
        assert.deepEqual(row, {
          checkpoint_lsn: formatLsn(checkpoint.lsn),
          redo_lsn: formatLsn(checkpoint.redoLsn),
        })
        assert.ok(Math.abs(Number(checkpoint.at / 1000n) - Date.now()) < 3_600_000)
      })

      test('gives the same records whatever the pieces', () => {
        const digest = (list: readonly WalRecord[]) =>
          list.map(
            ({ lsn, endLsn, data }) =>
              `${lsn} ${endLsn} ${data.length} ${Buffer.from(data.subarray(0, 16)).toString('hex')}`,
          )
        const expected = digest(records)
        for (const sizeBytes of [1, 7, 23, 24, 4096, 8191, 100_003]) {
          const pieces = new WalReader({ startLsn: log.startLsn, segmentSizeBytes })
          const seen: WalRecord[] = []
          const until = sizeBytes < 100 ? Math.min(log.bytes.length, 3_000_000) : log.bytes.length
          for (let at = 0; at < until; at += sizeBytes)
            seen.push(...pieces.push(log.bytes.subarray(at, Math.min(until, at + sizeBytes))))
          assert.ok(seen.length > 1000)
          assert.deepEqual(digest(seen), expected.slice(0, seen.length), `pieces of ${sizeBytes}`)
          if (until === log.bytes.length) assert.equal(seen.length, records.length)
        }
      })

      test('is found again from any start, and only with whole records', () => {
        for (let start = 0; start < log.bytes.length - 65_536; start += 77_773) {
          const startLsn = (log.startLsn + BigInt(start)) as Lsn
          const later = new WalReader({ startLsn, segmentSizeBytes }).push(log.bytes.subarray(start))
          const expected = records.filter((record) => record.lsn >= startLsn)
          const first = later[0]
          assert.ok(first === undefined ? expected.length < 1000 : expected.some((record) => record.lsn === first.lsn))
          assert.equal(later.at(-1)?.lsn, first === undefined ? undefined : records.at(-1)?.lsn)
        }
        const middle = records[Math.floor(records.length / 2)]!
        const from = new WalReader({ startLsn: middle.lsn, segmentSizeBytes, startsAtRecord: true })
        const rest = from.push(log.bytes.subarray(Number(middle.lsn - log.startLsn)))
        assert.equal(rest[0]?.lsn, middle.lsn)
        assert.equal(rest.length, records.length - Math.floor(records.length / 2))
      })

      test('gives the wanted records alone, and keeps no more than it was told', () => {
        const few = new WalReader({ startLsn: log.startLsn, segmentSizeBytes, wanted: isLandmarkRecord })
        const wanted = few.push(log.bytes)
        assert.deepEqual(
          wanted.map((record) => record.lsn),
          landmarks.map((landmark) => landmark.lsn),
        )
        assert.equal(few.validEndLsn, reader.validEndLsn)
        const cut = new WalReader({ startLsn: log.startLsn, segmentSizeBytes, maxDataBytes: 100 })
        const message = cut.push(log.bytes).find((record) => record.totalBytes > 3_000_000)
        assert.equal(message?.data.length, 100)
        assert.ok(message.dataBytes > 3_200_000)
        const whole = records.find((record) => record.lsn === message.lsn)
        assert.deepEqual(message.data, whole?.data.subarray(0, 100))
        assert.ok(Buffer.from(whole!.data).toString('latin1').endsWith('0123456789'.repeat(320_000)))
      })

      test('is refused when it belongs to another cluster', () => {
        const foreign = new WalReader({ startLsn: log.startLsn, segmentSizeBytes, systemIdentifier: '1' })
        assert.throws(() => foreign.push(log.bytes), /belongs to cluster/)
        assert.equal(parseWalPageHeader(log.bytes)?.segment?.systemIdentifier, systemIdentifier)
      })
    })
  }
}
