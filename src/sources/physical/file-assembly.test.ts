import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssembledFile, FileAssembly, joinZeroRuns } from './file-assembly.ts'

const header = { path: 'base/1/2', mode: 0o600, modifiedMs: 1 }
const piece = (fileOffsetBytes: number, lengthBytes: number) => ({
  file: 0,
  fileOffsetBytes,
  frameOffsetBytes: 7,
  lengthBytes,
})
const frame = {
  pack: 0,
  index: 0,
  offsetBytes: 64,
  storedBytes: 10,
  plainBytes: 20,
  codec: 'zstd',
  contentId: 'x',
} as const

test('an empty file is complete at its end, and a file whose frames came first as well', () => {
  const files: AssembledFile[] = []
  const assembly = new FileAssembly((file) => files.push(file))
  assembly.begin(header)
  assembly.end(0, 0)
  assert.deepEqual(files, [{ ...header, sizeBytes: 0, runs: [], badPages: [] }])
  assembly.begin(header)
  assembly.place({ ...piece(0, 10), file: 1 }, frame, [])
  assert.equal(files.length, 1)
  assembly.end(1, 10)
  assert.equal(files.length, 2)
  assert.equal(assembly.inFlight, 0)
})

test('zeros need no frame, and neighbouring zeros are one run', () => {
  const files: AssembledFile[] = []
  const assembly = new FileAssembly((file) => files.push(file))
  assembly.begin(header)
  assembly.end(0, 50)
  assembly.place(piece(30, 20), frame, [])
  assembly.place(piece(10, 20), undefined, [])
  assembly.place(piece(0, 10), undefined, [])
  assert.deepEqual(files[0]?.runs, [
    { offsetBytes: 0, lengthBytes: 30, frameOffsetBytes: 0 },
    { offsetBytes: 30, lengthBytes: 20, frameOffsetBytes: 7, frame },
  ])
})

test('bad pages come in the order of their blocks', () => {
  const files: AssembledFile[] = []
  const assembly = new FileAssembly((file) => files.push(file))
  assembly.begin(header)
  assembly.end(0, 20)
  assembly.place(piece(10, 10), frame, [{ blockNumber: 9, lsn: 1n, fingerprint: 'b' }])
  assembly.place(piece(0, 10), frame, [{ blockNumber: 2, lsn: 1n, fingerprint: 'a' }])
  assert.deepEqual(
    files[0]?.badPages.map(({ blockNumber }) => blockNumber),
    [2, 9],
  )
})

test('runs with frames are never joined', () => {
  const runs = [
    { offsetBytes: 0, lengthBytes: 5, frameOffsetBytes: 0, frame },
    { offsetBytes: 5, lengthBytes: 5, frameOffsetBytes: 5, frame },
  ]
  assert.deepEqual(joinZeroRuns(runs), runs)
})
