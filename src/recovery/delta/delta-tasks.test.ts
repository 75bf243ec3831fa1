import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FileEntry, FileRun, PackEntry } from '../../repository/manifest.ts'
import { type DeltaTask, DeltaTasks } from './delta-tasks.ts'

const MIB = 1024 * 1024
const pack = (digit: string): PackEntry => ({ type: 'pack', packId: digit.repeat(32), salt: '', epoch: 1 })

function fileOf(path: string, mebibytes: number, packNumber: number): FileEntry {
  const runs = Array.from({ length: mebibytes }, (_, index): FileRun => {
    const place = {
      pack: packNumber,
      index,
      offsetBytes: 0,
      storedBytes: 1,
      plainBytes: MIB,
      codec: 'raw',
      contentId: '',
    }
    const frame = { ...place, codec: 'raw' } as const
    return { offsetBytes: index * MIB, lengthBytes: MIB, frameOffsetBytes: 0, ...(index % 5 === 4 ? {} : { frame }) }
  })
  return { type: 'file', path, sizeBytes: mebibytes * MIB, mode: 0o600, modifiedMs: 0, runs }
}

test('each run is in exactly one task, under its file and with its own pack, and no task is large', () => {
  const tasks = new DeltaTasks()
  const packs = [pack('a'), pack('b'), pack('c')]
  for (const one of packs) tasks.addPack(one)
  const entries = [fileOf('a', 3, 2), fileOf('b', 40, 0), fileOf('c', 1, 1), fileOf('d', 16, 2)]
  const found: DeltaTask[] = []
  for (const entry of entries) {
    const shape = { file: entry.path, sizeBytes: entry.sizeBytes, mode: entry.mode }
    found.push(...tasks.addFile(entry, { shape, presentBytes: 7 }))
  }
  found.push(...tasks.flush())
  for (const entry of entries) {
    const runs = found.flatMap((task) =>
      task.files
        .filter((file) => file.shape.file === entry.path)
        .flatMap((file) => file.runs.map((run) => ({ run, task }))),
    )
    assert.deepEqual(
      runs.map(({ run }) => run.offsetBytes),
      entry.runs.map((run) => run.offsetBytes),
    )
    for (const { run, task } of runs) {
      const before = entry.runs[run.offsetBytes / MIB]?.frame
      assert.equal(run.frame && task.packs[run.frame.pack], before && packs[before.pack])
    }
  }
  for (const { files } of found) {
    assert.ok(files.every((file) => file.runs.length > 0 && file.presentBytes === 7))
    assert.ok(files.flatMap((file) => file.runs).reduce((sum, run) => sum + run.lengthBytes, 0) <= 16 * MIB)
  }
})

test('of a hundred thousand equal files, which lie in one frame, no task holds more than some', () => {
  const tasks = new DeltaTasks()
  tasks.addPack(pack('a'))
  const [run] = fileOf('', 1, 0).runs
  const found: DeltaTask[] = []
  for (let number = 0; number < 100_000; number += 1) {
    const entry = { ...fileOf(`f${number}`, 1, 0), runs: run ? [run] : [] }
    const shape = { file: entry.path, sizeBytes: entry.sizeBytes, mode: entry.mode }
    found.push(...tasks.addFile(entry, { shape, presentBytes: 0 }))
  }
  found.push(...tasks.flush())
  const counts = found.map(({ files }) => files.reduce((sum, file) => sum + file.runs.length, 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    100_000,
  )
  assert.ok(counts.every((count) => count <= 8192))
})
