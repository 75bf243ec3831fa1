/** What we say of each record against what PostgreSQL says of it: `pg_walinspect` everywhere, `pg_waldump` where it is installed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { findClientTool, postgresMajors, startTestServer, type TestServer } from '../../../../test/support/postgres.ts'
import { runWorkload, workloadSettings } from '../../../../test/support/wal-workload.ts'
import { formatLsn } from '../../lsn.ts'
import { WalReader } from '../reader.ts'
import type { BlockReference } from '../record-parts.ts'
import { blocksText, eventFacts } from '../testing/event-facts.ts'
import { decodedTypes, inspectedBlocks, inspectedFacts, inspectedType } from '../testing/inspected.ts'
import { readServerLog } from '../testing/server-log.ts'
import { decodeRecord } from './decode.ts'
import type { WalEvent } from './event.ts'
import { resourceManagerName } from './resource-managers.ts'

const run = promisify(execFile)
const segmentSizeBytes = 1024 * 1024

interface Seen {
  readonly event: WalEvent
  readonly manager: string
  readonly bytes: number
  readonly previous: string
  readonly blocks: readonly BlockReference[]
}

interface Inspected {
  readonly start: string
  readonly end: string
  readonly previous: string
  readonly xid: string
  readonly manager: string
  readonly kind: string
  readonly bytes: number
  readonly text: string
  readonly blocks: string | null
}

/** Not to be met in a workload, or only with a second server. */
const RARE = new Set(['no-operation', 'abandoned-record', 'end-of-recovery', 'next-oid', 'parameter-change'])

function readEvents(server: TestServer): Seen[] {
  const log = readServerLog(server.dataDir, segmentSizeBytes)
  const reader = new WalReader({ startLsn: log.startLsn, segmentSizeBytes })
  const seen: Seen[] = []
  reader.visit(log.bytes, (view) => {
    seen.push({
      event: decodeRecord(view),
      manager: resourceManagerName(view.rmgr),
      bytes: view.totalBytes,
      previous: formatLsn(view.previousLsn),
      blocks: Array.from({ length: view.parts.blockCount }, (_, index) => view.parts.reference(index)),
    })
  })
  return seen
}

for (const major of postgresMajors()) {
  for (const walLevel of ['replica', 'logical']) {
    describe(`records of PostgreSQL ${major} with wal_level ${walLevel}`, () => {
      let server: TestServer
      let seen: Seen[]
      let inspected: Inspected[]

      before(async () => {
        const settings = { ...workloadSettings, wal_level: walLevel, timezone: 'UTC', wal_compression: 'pglz' }
        server = await startTestServer({ major, walSegmentSizeMb: 1, settings })
        await server.query('create extension pg_walinspect')
        await runWorkload(server)
        seen = readEvents(server)
        const first = seen[0]
        assert.ok(first)
        const endLsn = await server.currentLsn()
        inspected = await server.query<Inspected>(
          `select start_lsn::text as start, end_lsn::text as "end", prev_lsn::text as previous, xid::text, resource_manager as manager,
             record_type as kind, record_length::int as bytes, coalesce(description, '') as text, block_ref as blocks
           from pg_get_wal_records_info($1, $2)`,
          [formatLsn(first.event.lsn), endLsn],
        )
        seen.length = inspected.length
      })
      after(() => server[Symbol.asyncDispose]())

      test('are the same, with their transactions and block references', () => {
        assert.ok(inspected.length > 20_000)
        assert.deepEqual(
          seen.map(
            ({ event, manager, bytes, previous, blocks }) =>
              `${formatLsn(event.lsn)} ${formatLsn(event.endLsn)} ${previous} ${event.xid} ${manager} ${bytes} ${blocksText(blocks)}`,
          ),
          inspected.map(
            (one) =>
              `${one.start} ${one.end} ${one.previous} ${one.xid} ${one.manager} ${one.bytes} ${inspectedBlocks(one.blocks)}`,
          ),
        )
      })

      test('mean the same', () => {
        for (const [index, { start, manager, kind, text }] of inspected.entries()) {
          const { event } = seen[index] as Seen
          const type = inspectedType(manager, kind)
          const context = `${start} ${manager} ${kind}: ${text.slice(0, 300)}`
          assert.equal(event.type, type, context)
          const expected = inspectedFacts(type, kind, text)
          const facts = eventFacts(event)
          // Not every version lists the places of several rows, and none does for a new page.
          const { offsets, ...rest } = facts
          assert.deepEqual(expected.offsets ? facts : rest, expected, context)
          if (kind === 'MULTI_INSERT+INIT') {
            assert.deepEqual(
              offsets,
              Array.from(offsets as number[], (_, at) => at + 1),
              context,
            )
          }
        }
      })

      test('are of every kind that is decoded', () => {
        const types = new Set(seen.map(({ event }) => event.type))
        const missing = [...decodedTypes].filter((type) => !RARE.has(type) && !types.has(type as WalEvent['type']))
        const onlyOf = walLevel === 'logical' ? [] : ['truncate', 'invalidations']
        const since17 = major >= 17 ? [] : ['checkpoint-redo']
        assert.deepEqual(
          missing.filter((type) => !onlyOf.includes(type) && !since17.includes(type)),
          [],
        )
        assert.ok(seen.some(({ event }) => event.type === 'delete' && event.isUndoneInsert))
        assert.ok(seen.some(({ event }) => event.type === 'delete' && event.isPartitionMove))
        assert.ok(seen.some(({ event }) => event.type === 'insert' && event.isSpeculative))
        assert.ok(seen.some(({ event }) => event.type === 'commit' && event.origin?.node === 1))
        if (walLevel === 'replica') return
        assert.ok(seen.some(({ event }) => event.topXid !== undefined && event.topXid !== event.xid))
        assert.ok(seen.some(({ event }) => event.type === 'delete' && event.oldTuple === 'whole'))
        assert.ok(seen.some(({ event }) => event.type === 'insert' && event.isToast))
      })

      test('say of blocks what pg_get_wal_block_info says', {
        skip: major < 16 && 'only 16 and later have it',
      }, async () => {
        const first = seen[0]?.event.lsn ?? 0n
        const rows = await server.query<{ line: string }>(
          `select concat_ws(' ', start_lsn, block_id, reltablespace, reldatabase, relfilenode, relforknumber, relblocknumber,
             coalesce(block_data_length, 0), coalesce(block_fpi_length, 0), 'APPLY' = any(block_fpi_info),
             block_fpi_info && '{COMPRESS_PGLZ}') as line
           from pg_get_wal_block_info($1, $2, false) order by start_lsn, block_id`,
          [formatLsn(first), formatLsn(seen.at(-1)?.event.endLsn ?? 0n)],
        )
        const forks = ['main', 'fsm', 'vm', 'init']
        const letter = (value: boolean | undefined) => (value === undefined ? '' : value ? ' t' : ' f')
        const ours = seen.flatMap(({ event, blocks }) =>
          blocks.map(({ id, file, fork, block, dataBytes, image }) => {
            const place = `${file.tablespace} ${file.database} ${file.relfilenode} ${forks.indexOf(fork)} ${block}`
            const flags = `${letter(image?.isApplied)}${letter(image?.isCompressed)}`
            return `${formatLsn(event.lsn)} ${id} ${place} ${dataBytes} ${image?.bytes ?? 0}${flags}`
          }),
        )
        assert.deepEqual(
          ours,
          rows.map(({ line }) => line),
        )
      })

      test('are what pg_waldump prints', async (context) => {
        const tool = await findClientTool('pg_waldump', major)
        if (tool === undefined) return context.skip(`PostgreSQL ${major} is here without its client programs`)
        const first = seen[0]?.event.lsn ?? 0n
        const last = seen.at(-1)?.event.lsn ?? 0n
        const args = ['-p', path.join(server.dataDir, 'pg_wal'), '-s', formatLsn(first), '-e', formatLsn(last)]
        const { stdout } = await run(tool, args, { maxBuffer: 1 << 28, env: { ...process.env, TZ: 'UTC' } })
        const pattern =
          /^rmgr: (\S+)\s+len \(rec\/tot\):\s+\d+\/\s*(\d+), tx:\s+(\d+), lsn: (\S+), prev (\S+), desc: (\S+) ?(.*?)(?:, (blkref .*))?$/
        let compared = 0
        for (const line of stdout.split('\n')) {
          const match = pattern.exec(line)
          if (!match) continue
          const [, manager = '', bytes, xid, lsn, previous, kind = '', text = '', blocks = ''] = match
          const { event, ...record } = seen[compared] as Seen
          compared += 1
          const our = [record.manager, record.bytes, event.xid, padded(formatLsn(event.lsn)), padded(record.previous)]
          assert.equal(our.join(' '), [manager, bytes, xid, lsn, previous].join(' '))
          assert.equal(blocksText(record.blocks), inspectedBlocks(blocks), line)
          const { offsets: _, ...facts } = eventFacts(event)
          const { offsets: __, ...expected } = inspectedFacts(inspectedType(manager, kind), kind, text.trimEnd())
          assert.deepEqual(facts, expected, line)
        }
        assert.ok(compared >= seen.length - 1)
      })
    })
  }
}

/** `pg_waldump` writes the lower half with all of its digits. */
function padded(lsn: string): string {
  const [high = '', low = ''] = lsn.split('/')
  return `${high}/${low.padStart(8, '0')}`
}
