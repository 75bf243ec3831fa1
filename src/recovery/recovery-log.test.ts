import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { noteLine, type RecoveryFacts, RecoveryLog } from './recovery-log.ts'

const promoted = `2026-11-22 10:00:00.000 UTC [7] LOG:  starting point-in-time recovery to WAL location (LSN) "0/5000060"
2026-11-22 10:00:00.010 UTC [7] LOG:  restored log file "000000010000000000000002" from archive
2026-11-22 10:00:00.020 UTC [7] LOG:  redo starts at 0/2000028
2026-11-22 10:00:00.030 UTC [7] LOG:  consistent recovery state reached at 0/2000100
2026-11-22 10:00:01.000 UTC [7] LOG:  recovery stopping before commit of transaction 745, time 2026-11-22 09:04:12.1+00
2026-11-22 10:00:01.010 UTC [7] LOG:  redo done at 0/5000060 system usage: CPU: user: 0.00 s, system: 0.00 s, elapsed: 1.25 s
2026-11-22 10:00:01.020 UTC [7] LOG:  last completed transaction was at log time 2026-11-22 09:04:11.482913+00
2026-11-22 10:00:01.030 UTC [7] LOG:  selected new timeline ID: 3
2026-11-22 10:00:01.040 UTC [7] LOG:  archive recovery complete
2026-11-22 10:00:01.050 UTC [6] LOG:  database system is ready to accept connections
`

const read = (text: string) => text.split('\n').reduce<RecoveryFacts>(noteLine, {})

test('a promotion tells where it stopped, when, and its new timeline', () => {
  const facts = read(promoted)
  assert.equal(facts.redoStartLsn, 0x2000028n)
  assert.equal(facts.redoDoneLsn, 0x5000060n)
  assert.equal(facts.replayMs, 1250)
  assert.equal(facts.newTimeline, 3)
  assert.equal(facts.recoveryComplete, true)
  assert.equal(facts.ready, true)
  assert.equal(facts.lastTransactionAt, '2026-11-22 09:04:11.482913+00')
  assert.match(facts.stopping ?? '', /before commit of transaction 745/)
  assert.equal(facts.fatal, undefined)
})

test('ready for reading is not the end of recovery', () => {
  const facts = read('x LOG:  database system is ready to accept read-only connections')
  assert.equal(facts.ready, undefined)
})

test('the first fatal line is the cause', () => {
  const facts = read(`a FATAL:  recovery ended before configured recovery target was reached
b FATAL:  the database system is shutting down`)
  assert.match(facts.targetNotReached ?? '', /ended before/)
  assert.match(facts.fatal ?? '', /ended before/)
})

test('a growing file is read piece by piece, lines cut anywhere', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'retake-log-'))
  const file = path.join(directory, 'log')
  const log = new RecoveryLog(file)
  assert.deepEqual(await log.look(), {}, 'not yet there')
  for (let at = 0; at < promoted.length; at += 37) {
    appendFileSync(file, promoted.slice(at, at + 37))
    await log.look()
  }
  assert.deepEqual(log.facts, read(promoted))
  rmSync(directory, { recursive: true })
})
