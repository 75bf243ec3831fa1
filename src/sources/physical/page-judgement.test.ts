import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLsn } from '../../postgres/lsn.ts'
import { pageChecksum } from '../../postgres/page.ts'
import type { BadPage } from './frame-task.ts'
import { judgePages, rereadThrough } from './page-judgement.ts'

const BLOCK = 8192
const START = 0x5000n
const NOW = 0x9000n
const fingerprint = (page: Uint8Array) => Buffer.from(page).toString('base64')

function pageOf(
  lsn: bigint,
  options: { readonly blockNumber: number; readonly valid: boolean; readonly fill?: number },
): Buffer {
  const page = Buffer.alloc(BLOCK, options.fill ?? 7)
  page.writeUInt32LE(Number(lsn >> 32n), 0)
  page.writeUInt32LE(Number(lsn & 0xffffffffn), 4)
  const words = new Int32Array(page.buffer, page.byteOffset, BLOCK / 4)
  const checksum = pageChecksum(words, options.blockNumber)
  page.writeUInt16LE(options.valid ? checksum : checksum ^ 1, 8)
  return page
}

/** A server whose file gives these bytes, one answer for each time it is read. */
function serverWith(reads: (Buffer | null)[]) {
  let asked = 0
  return {
    reads: () => asked,
    sql: {
      async query<R extends object>(text: string): Promise<R[]> {
        if (text.includes('insert_lsn')) return [{ lsn: formatLsn(NOW) }] as unknown as R[]
        return [{ bytes: reads[Math.min(asked++, reads.length - 1)] }] as unknown as R[]
      },
    },
  }
}

async function judge(page: Buffer, lsn: bigint, options: { reads?: (Buffer | null)[]; mayReadFiles?: boolean }) {
  const server = serverWith(options.reads ?? [null])
  const bad: BadPage = { blockNumber: 3, lsn, fingerprint: fingerprint(page) }
  const verdict = await judgePages(
    { path: 'base/1/2', firstBlockNumber: 0, badPages: [bad] },
    {
      sql: server.sql,
      startLsn: START,
      blockSizeBytes: BLOCK,
      reread: (options.mayReadFiles ?? true) ? rereadThrough(server.sql) : undefined,
      fingerprint,
    },
  )
  return { ...verdict, reads: server.reads() }
}

const torn = { tornBlocks: [3], corruptBlocks: [] }
const corrupt = { tornBlocks: [], corruptBlocks: [3] }

test('a page that was changed since the start is torn, without looking again', async () => {
  const lsn = 0x6000n
  assert.deepEqual(await judge(pageOf(lsn, { blockNumber: 3, valid: false }), lsn, {}), { ...torn, reads: 0 })
})

test('an old page that stays wrong and unchanged is corrupt', async () => {
  const page = pageOf(0x10n, { blockNumber: 3, valid: false })
  const { reads, ...verdict } = await judge(page, 0x10n, { reads: [page] })
  assert.deepEqual(verdict, corrupt)
  assert.ok(reads > 2, 'it was given time')
})

test('a page with an LSN of the future is not believed', async () => {
  const page = pageOf(0xffff_ffffn, { blockNumber: 3, valid: false })
  const { reads: _, ...verdict } = await judge(page, 0xffff_ffffn, { reads: [page] })
  assert.deepEqual(verdict, corrupt)
})

test('an old page that is valid, changed, cut off or gone when it is read again was in flight', async () => {
  const page = pageOf(0x10n, { blockNumber: 3, valid: false })
  const answers = [
    pageOf(0x10n, { blockNumber: 3, valid: true }),
    pageOf(0x10n, { blockNumber: 3, valid: false, fill: 8 }),
    page.subarray(0, 100),
    null,
  ]
  for (const answer of answers) {
    const { reads: _, ...verdict } = await judge(page, 0x10n, { reads: [page, answer] })
    assert.deepEqual(verdict, torn)
  }
})

test('without the right to read files, what the server has let pass is corrupt rather than hidden', async () => {
  const page = pageOf(0x10n, { blockNumber: 3, valid: false })
  assert.deepEqual(await judge(page, 0x10n, { mayReadFiles: false }), { ...corrupt, reads: 0 })
})
