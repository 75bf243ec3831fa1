/** The log of real servers with some of its records turned into no-ops: nothing else in it changes, however it is asked for. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import '../../../test/support/leaks.ts'
import { postgresMajors, startTestServer } from '../../../test/support/postgres.ts'
import { runWorkload, workloadSettings } from '../../../test/support/wal-workload.ts'
import { formatLsn, type Lsn, segmentName } from '../../postgres/lsn.ts'
import { NoopRewriter, type RecordHead } from '../../postgres/wal/noop-rewriter.ts'
import { WalReader } from '../../postgres/wal/reader.ts'
import type { WalRecordView } from '../../postgres/wal/record-view.ts'
import { readServerLog } from '../../postgres/wal/testing/server-log.ts'
import type { FeederSource } from '../feeder.ts'
import { rewrittenSource } from './rewritten-source.ts'

const segmentSizeBytes = 1024 * 1024

/** Every other relation, by its file. */
const isUnwanted = ({ parts }: Pick<RecordHead, 'parts'>): boolean =>
  parts.blockCount > 0 && (parts.relfilenodes[0] as number) % 2 === 0

interface Told {
  readonly lsn: string
  readonly endLsn: string
  readonly xid: number
  readonly bytes: number
  readonly previous: string
  /** What it is; the same for all that shall be passed over. */
  readonly kind: string
}

function tell(bytes: Uint8Array, startLsn: Lsn, kindOf: (view: WalRecordView) => string) {
  const reader = new WalReader({ segmentSizeBytes, startLsn })
  const told: Told[] = []
  // The reader verifies the checksum of each of them.
  reader.visit(bytes, (view) => {
    told.push({
      lsn: formatLsn(view.lsn),
      endLsn: formatLsn(view.endLsn),
      xid: view.xid,
      bytes: view.totalBytes,
      previous: formatLsn(view.previousLsn),
      kind: kindOf(view),
    })
  })
  return told
}

const NOOP = '0/32'

for (const major of postgresMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    test('a log whose records are passed over is the same log, in any pieces, from any segment', async () => {
      await using server = await startTestServer({ major, settings: workloadSettings, walSegmentSizeMb: 1 })
      await runWorkload(server)
      await server.query('select pg_switch_wal()')
      const log = readServerLog(server.dataDir, segmentSizeBytes)
      const expected = tell(log.bytes, log.startLsn, (view) => (isUnwanted(view) ? NOOP : `${view.rmgr}/${view.info}`))
      const passedOver = expected.filter(({ kind }) => kind === NOOP).length
      assert.ok(passedOver > 1000 && expected.length - passedOver > 1000)
      const kindOf = (view: WalRecordView) => `${view.rmgr}/${view.info}`
      const firstSegment = log.startLsn / BigInt(segmentSizeBytes)

      const cuts = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 300_000 })))
      fc.assert(
        fc.property(cuts, (sizes) => {
          const bytes = Buffer.from(log.bytes)
          const rewriter = new NoopRewriter({ segmentSizeBytes, firstSegment, isUnwanted })
          const given: Uint8Array[] = []
          for (let at = 0; at < bytes.length; ) {
            const piece = bytes.subarray(at, at + (sizes.next().value ?? 1))
            at += piece.length
            given.push(...rewriter.push(piece))
          }
          given.push(...rewriter.end())
          // What is given on is what was taken, in its order.
          assert.ok(Buffer.concat(given).equals(bytes))
          assert.deepEqual(tell(bytes, log.startLsn, kindOf), expected)
        }),
        { numRuns: 8 },
      )

      const count = log.bytes.length / segmentSizeBytes
      const names = Array.from({ length: count }, (_, index) =>
        segmentName({ timeline: 1, segment: firstSegment + BigInt(index) }, segmentSizeBytes),
      )
      const source: FeederSource = {
        sequence: names,
        async open(name) {
          const at = names.indexOf(name) * segmentSizeBytes
          return at < 0 ? undefined : piecesOf(Buffer.from(log.bytes.subarray(at, at + segmentSizeBytes)))
        },
      }
      const rewritten = rewrittenSource(source, { segmentSizeBytes, isUnwanted })
      const segments = new Map<string, Buffer>()
      for (const name of names) segments.set(name, await contentOf(rewritten, name))
      assert.deepEqual(tell(Buffer.concat([...segments.values()]), log.startLsn, kindOf), expected)
      // Asked again, out of turn, and after one that was not taken to its end.
      for (const name of [names.at(-1), names[0], names[2], names[1], names.at(-1), names.at(-2)]) {
        for await (const _ of (await rewritten.open(names[3] ?? '')) ?? []) break
        assert.ok((await contentOf(rewritten, name ?? '')).equals(segments.get(name ?? '') ?? Buffer.alloc(0)), name)
      }
      const late = rewrittenSource(source, { segmentSizeBytes, isUnwanted })
      const last = names.at(-1) ?? ''
      assert.ok((await contentOf(late, last)).equals(segments.get(last) ?? Buffer.alloc(0)))
      assert.equal(await late.open('00000002.history'), undefined)
    })

    test('a log that is damaged is followed as far as it can be, and never breaks', async () => {
      await using server = await startTestServer({ major, settings: workloadSettings, walSegmentSizeMb: 1 })
      await server.query('create table t as select n, repeat(md5(n::text), 9) as body from generate_series(1, 3000) n')
      await server.query('checkpoint; update t set body = body')
      const log = readServerLog(server.dataDir, segmentSizeBytes)
      const firstSegment = log.startLsn / BigInt(segmentSizeBytes)
      const places = fc.array(
        fc.tuple(fc.integer({ min: 0, max: log.bytes.length - 1 }), fc.integer({ min: 0, max: 255 })),
        {
          minLength: 1,
          maxLength: 30,
        },
      )
      fc.assert(
        fc.property(places, (changes) => {
          const bytes = Buffer.from(log.bytes)
          for (const [at, value] of changes) bytes[at] = value
          const rewriter = new NoopRewriter({ segmentSizeBytes, firstSegment, isUnwanted: () => false })
          const before = Buffer.from(bytes)
          const given: Uint8Array[] = []
          for (let at = 0; at < bytes.length; at += 100_000)
            given.push(...rewriter.push(bytes.subarray(at, at + 100_000)))
          given.push(...rewriter.end())
          assert.ok(Buffer.concat(given).equals(before))
        }),
        { numRuns: 50 },
      )
    })
  })
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_001) yield bytes.subarray(at, at + 100_001)
}

async function contentOf(source: FeederSource, name: string): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of (await source.open(name)) ?? []) pieces.push(piece)
  return Buffer.concat(pieces)
}
