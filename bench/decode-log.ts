/** `node bench/decode-log.ts DIRECTORY`: decodes every segment in it to transactions, and throws them away. A process of its own, as the peer is. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { parseSegmentName, segmentStart } from '../src/postgres/lsn.ts'
import { isNamingCatalog } from '../src/postgres/wal/decode/catalog-row.ts'
import { WalReader } from '../src/postgres/wal/reader.ts'
import { TransactionAssembler } from '../src/postgres/wal/transactions/assembler.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const directory = process.argv[2] ?? '.'
const names = readdirSync(directory)
  .filter((name) => parseSegmentName(name, SEGMENT_BYTES))
  .sort()
const first = parseSegmentName(names[0] ?? '', SEGMENT_BYTES)
if (!first) throw new Error(`${directory} holds no segment`)
const reader = new WalReader({
  segmentSizeBytes: SEGMENT_BYTES,
  startLsn: segmentStart(first.segment, SEGMENT_BYTES),
  keepsBlocks: isNamingCatalog,
})
const piece = new Uint8Array(1024 * 1024)
let transactions = 0
const assembler = new TransactionAssembler({ onTransaction: () => (transactions += 1) })
for (const name of names) {
  const file = openSync(join(directory, name), 'r')
  for (;;) {
    const length = readSync(file, piece)
    if (length === 0) break
    reader.visit(piece.subarray(0, length), (view) => assembler.add(view))
  }
  closeSync(file)
}
console.log(`${transactions} transactions`)
