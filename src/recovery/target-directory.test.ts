import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { currentProcess } from '../base/process-identity.ts'
import {
  claimTarget,
  inspectTarget,
  judgeTarget,
  MARKER,
  type RestoreMarker,
  removeLeftover,
  type TargetFacts,
  writeMarker,
} from './target-directory.ts'

const base = mkdtempSync(join(tmpdir(), 'retake-target-'))
after(() => rmSync(base, { recursive: true, force: true }))

const cluster = { systemIdentifier: '7000000000000000001' }
const marker: RestoreMarker = {
  tool: 'retake',
  planHash: 'x',
  systemIdentifier: cluster.systemIdentifier,
  phase: 'files',
  tablespaces: [],
  at: '2026-11-22T09:00:00.000Z',
}

test('the table of states is total', () => {
  const foreign = { ...marker, systemIdentifier: '7' }
  for (const owner of ['none', 'ours', 'foreign'] as const) {
    for (const phase of ['files', 'recovering', 'complete'] as const) {
      for (const hasControlFile of [false, true]) {
        for (const hasRecoverySignal of [false, true]) {
          for (const [serverRuns, restoreRuns] of [
            [false, false],
            [false, true],
            [true, false],
          ] as const) {
            const found = owner === 'none' ? undefined : { ...(owner === 'ours' ? marker : foreign), phase }
            const facts: TargetFacts = {
              names: ['x'],
              marker: found,
              hasControlFile,
              hasRecoverySignal,
              serverRuns,
              restoreRuns,
            }
            const { state } = judgeTarget(facts, cluster)
            const mayBeRemoved =
              owner === 'ours' &&
              !serverRuns &&
              !restoreRuns &&
              (!hasControlFile || (phase === 'recovering' && hasRecoverySignal))
            assert.equal(state, mayBeRemoved ? 'leftover' : 'occupied', JSON.stringify(facts))
          }
        }
      }
    }
  }
  const nothing = {
    marker: undefined,
    hasControlFile: false,
    hasRecoverySignal: false,
    serverRuns: false,
    restoreRuns: false,
  }
  assert.equal(judgeTarget({ names: undefined, ...nothing }, cluster).state, 'absent')
  assert.equal(judgeTarget({ names: [], ...nothing }, cluster).state, 'empty')
  assert.equal(
    judgeTarget({ names: [`${MARKER}.7`], ...nothing }, cluster).state,
    'empty',
    'killed before it had claimed it',
  )
})

test('directories are seen as they are', async () => {
  const directory = join(base, 'one')
  assert.equal((await inspectTarget(directory, cluster)).state, 'absent')
  mkdirSync(directory)
  assert.equal((await inspectTarget(directory, cluster)).state, 'empty')
  writeFileSync(join(directory, MARKER), 'not json')
  assert.equal((await inspectTarget(directory, cluster)).state, 'occupied')
  await writeMarker(directory, marker)
  assert.equal((await inspectTarget(directory, cluster)).state, 'leftover')
  await writeMarker(directory, { ...marker, process: currentProcess() })
  assert.equal((await inspectTarget(directory, cluster)).state, 'occupied', 'a running restore')
  await writeMarker(directory, { ...marker, process: { ...currentProcess(), started: '1' } })
  assert.equal(
    (await inspectTarget(directory, cluster)).state,
    'leftover',
    'one that has ended, whose pid was used again',
  )
  await writeMarker(directory, { ...marker, process: { ...currentProcess(), boot: 'ffffffff' } })
  assert.equal((await inspectTarget(directory, cluster)).state, 'leftover', 'one from before a reboot')
  await writeMarker(directory, { ...marker, process: { ...currentProcess(), realm: 'ffffffff' } })
  assert.equal((await inspectTarget(directory, cluster)).state, 'occupied', 'one of another machine')
  await writeMarker(directory, marker)
  writeFileSync(join(directory, 'postmaster.pid'), `${process.pid}\n`)
  assert.equal((await inspectTarget(directory, cluster)).state, 'occupied', 'a running server')
  writeFileSync(join(directory, 'postmaster.pid'), 'garbage\n')
  mkdirSync(join(directory, 'global'))
  writeFileSync(join(directory, 'global', 'pg_control'), 'x')
  assert.equal((await inspectTarget(directory, cluster)).state, 'occupied', 'it may have been started')
})

test('a directory is claimed once', async () => {
  const directory = join(base, 'claimed')
  mkdirSync(directory)
  writeFileSync(join(directory, `${MARKER}.7`), 'half a mar')
  await claimTarget(directory, marker)
  assert.deepEqual(readdirSync(directory), [MARKER])
  await assert.rejects(claimTarget(directory, marker), { code: 'restore.refused' })
})

test('a leftover is removed with what PostgreSQL made in its tablespaces, and nothing else there', async () => {
  const directory = join(base, 'two')
  const tablespace = join(base, 'space')
  mkdirSync(join(directory, 'base', '1'), { recursive: true })
  mkdirSync(join(tablespace, 'PG_17_202406281', '5'), { recursive: true })
  writeFileSync(join(tablespace, 'precious'), '')
  const ours = { ...marker, tablespaces: [tablespace, join(base, 'never made')] }
  await writeMarker(directory, ours)
  await removeLeftover(directory, ours)
  assert.deepEqual(readdirSync(directory), [])
  assert.deepEqual(readdirSync(tablespace), ['precious'])
  assert.ok(existsSync(directory), 'the directory itself may be a mount point')
})
