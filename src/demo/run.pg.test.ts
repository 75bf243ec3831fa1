import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import '../../test/support/leaks.ts'
import { stopServer } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { cineTrackTables } from './cinetrack/tiers.ts'
import { disasterKinds } from './disasters.ts'
import { runDemo } from './run.ts'

const directories = () => readdirSync(tmpdir()).filter((name) => name.startsWith('retake-demo-'))

for (const disaster of disasterKinds) {
  test(`the demo recovers exactly from: ${disaster}`, async () => {
    await using evidence = makeTemp({ label: 'evidence' })
    const before = directories()
    const lines: string[] = []
    const result = await runDemo({
      disaster,
      scale: 0.05,
      pace: 0.2,
      evidenceDirectory: evidence.path,
      out: (line) => lines.push(line),
    })
    assert.deepEqual(
      { exact: result.exact, lost: result.lostTransactions, rpoMs: result.rpoMs },
      { exact: true, lost: 0, rpoMs: 0 },
      lines.join('\n'),
    )
    assert.ok(result.acknowledgedTransactions > 10)
    assert.ok(result.rtoMs > 0)
    const written = JSON.parse(readFileSync(result.evidenceFile, 'utf8')) as {
      result: { exact: boolean }
      plan: { hash: string }
    }
    assert.equal(written.result.exact, true)
    assert.match(written.plan.hash, /^[0-9a-f]{64}$/)
    const story = lines.join('\n')
    for (const { name } of cineTrackTables) assert.match(story, new RegExp(`${name} .* identical`))
    assert.deepEqual(directories(), before)
  })
}

test('with keep, original and recovered server stay and are named', async () => {
  await using evidence = makeTemp({ label: 'evidence' })
  const result = await runDemo({
    disaster: 'drop-table',
    keep: true,
    scale: 0.02,
    pace: 0,
    evidenceDirectory: evidence.path,
    out: () => {},
  })
  const { kept } = result
  assert.ok(kept?.source && existsSync(kept.keyFile))
  for (const { pid } of [kept.source, kept.recovered]) {
    assert.ok(process.kill(pid, 0))
    await stopServer(pid)
  }

  await rm(kept.directory, { recursive: true })
})

test('an abort ends the story and leaves nothing', async () => {
  const before = directories()
  const controller = new AbortController()
  const out = (line: string) => {
    if (/Full backup/.test(line)) controller.abort()
  }
  await assert.rejects(runDemo({ scale: 0.02, pace: 0.1, signal: controller.signal, out }), { code: 'aborted' })
  assert.deepEqual(directories(), before)
})
