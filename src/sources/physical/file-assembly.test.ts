import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssembledFile, FileAssembly } from './file-assembly.ts'
import type { FrameOutcome, Placement } from './frame-task.ts'

const header = { path: 'base/1/2', mode: 0o600, modifiedMs: 1 }
const frame = {
  packId: 'p',
  index: 0,
  offsetBytes: 64,
  storedBytes: 10,
  plainBytes: 20,
  codec: 'zstd',
  contentId: 'x',
} as const

const placed = (fileOffsetBytes: number, lengthBytes: number, file = 0): Placement => ({
  ...{ file, fileOffsetBytes, lengthBytes },
  source: { frame, frameOffsetBytes: 7 },
})
const outcome = (placements: Placement[], more: Partial<FrameOutcome> = {}): FrameOutcome => ({
  ...{ placements, badPages: [], facts: [], changedBytes: 0 },
  ...more,
})
const pieceOf = ({ file, fileOffsetBytes, lengthBytes }: Placement) => ({
  ...{ file, fileOffsetBytes, lengthBytes },
  frameOffsetBytes: 7,
})

function assemble() {
  const files: AssembledFile[] = []
  const assembly = new FileAssembly((file) => files.push(file))
  return { files, assembly }
}

test('an empty file is complete at its end, and a file whose frames came first as well', () => {
  const { files, assembly } = assemble()
  assembly.begin(header)
  assembly.end(0, 0)
  assert.deepEqual(files, [{ ...header, file: 0, sizeBytes: 0, placements: [], findings: [], badPages: [] }])
  assembly.begin(header)
  const all = placed(0, 10, 1)
  assembly.answered([pieceOf(all)], outcome([all]))
  assert.equal(files.length, 1)
  assembly.end(1, 10)
  assert.equal(files.length, 2)
  assert.equal(assembly.inFlight, 0)
})

test('a file waits for what is in a bundle, and for what the workers say of it, whichever comes last', () => {
  for (const bundleFirst of [true, false]) {
    const { files, assembly } = assemble()
    assembly.begin(header)
    assembly.end(0, 30)
    const [own, bundled] = [placed(0, 10), placed(10, 20)]
    const facts = [{ file: 0, fileOffsetBytes: 0, contentId: 'all' }]
    const answer = () => assembly.answered([pieceOf(own), pieceOf(bundled)], outcome([own], { facts }))
    if (bundleFirst) assembly.place([bundled])
    else answer()
    assert.equal(files.length, 0)
    if (bundleFirst) answer()
    else assembly.place([bundled])
    assert.deepEqual(files[0]?.placements, [own, bundled])
    assert.deepEqual(files[0]?.findings, facts)
  }
})

test('what needs no worker is placed directly', () => {
  const { files, assembly } = assemble()
  assembly.begin(header)
  assembly.placeDirectly({ file: 0, fileOffsetBytes: 0, lengthBytes: 5, source: 'parent' })
  assembly.placeDirectly({ file: 0, fileOffsetBytes: 5, lengthBytes: 5, source: 'zeros' })
  assembly.end(0, 10)
  assert.equal(files[0]?.placements.length, 2)
})

test('bad pages come in the order of their blocks', () => {
  const { files, assembly } = assemble()
  assembly.begin(header)
  assembly.end(0, 20)
  for (const [at, blockNumber] of [
    [10, 9],
    [0, 2],
  ] as const) {
    const badPages = [{ file: 0, pages: [{ blockNumber, lsn: 1n, fingerprint: 'b' }] }]
    assembly.answered([pieceOf(placed(at, 10))], outcome([placed(at, 10)], { badPages }))
  }
  assert.deepEqual(
    files[0]?.badPages.map(({ blockNumber }) => blockNumber),
    [2, 9],
  )
})
