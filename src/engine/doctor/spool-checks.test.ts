import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../../base/errors.ts'
import type { SpoolLook } from '../../sources/physical/look-at-spool.ts'
import { spoolChecks } from './spool-checks.ts'
import type { SpoolFacts, SpoolPlace } from './spool-facts.ts'

const MIB = 1024 ** 2

const place: SpoolPlace = {
  exists: true,
  ownFileSystem: true,
  sharesDiskWithData: false,
  space: { freeBytes: 6000 * MIB, totalBytes: 8000 * MIB },
}
const empty: SpoolLook = { kind: 'ours', ahead: [], aheadBytes: 0, stranded: [], setAside: { files: 0, bytes: 0 } }
const healthy: SpoolFacts = {
  directory: '/spool',
  place,
  held: empty,
  recorded: { host: 'db1', isHere: true, ahead: false },
  isNeedless: false,
  receiver: { holder: 'retake wal receive (process 1 on db1)' },
  walBytesPerMinute: 100 * MIB,
  walSegmentSizeBytes: 16 * MIB,
}

/** The states by the last word of the ids, and what is said. */
function judge(change: Partial<SpoolFacts>) {
  const facts = { ...healthy, ...change }
  const verdicts = spoolChecks(facts).map(({ id, judge }) => ({ id, ...judge(facts) }))
  const of = (id: string) => verdicts.find((one) => one.id === id)
  const [spool, space, wal, aside] = ['spool', 'spool-space', 'spool-wal', 'spool-set-aside'].map((id) =>
    of(`machine.${id}`),
  )
  return { spool, space, wal, aside, states: verdicts.map(({ state }) => state).join(' ') }
}

test('a spool as it should be says how long its space lasts', () => {
  const { states, space, spool } = judge({})
  assert.equal(states, 'passed passed passed passed')
  assert.match(space?.finding ?? '', /60 minutes of WAL/)
  assert.match(spool?.finding ?? '', /file system of its own/)
  assert.match(judge({ walBytesPerMinute: undefined }).space?.finding ?? '', /not known/)
  assert.match(judge({ walBytesPerMinute: 0 }).space?.finding ?? '', /no WAL has come/)
  assert.match(judge({ place: { ...place, exists: false, ownFileSystem: false } }).spool?.finding ?? '', /can make it/)
})

test('without one nothing is asked, unless a receiver of this machine has one', () => {
  const none = { directory: undefined, place: undefined, held: undefined }
  assert.equal(judge({ ...none, recorded: undefined }).states, 'skipped')
  assert.equal(judge({ ...none, recorded: { host: 'db2', isHere: false, ahead: true } }).states, 'passed')
  assert.equal(judge(none).states, 'warning')
  const lost = { ...none, recorded: { host: 'db1', isHere: true, ahead: true } }
  assert.equal(judge(lost).states, 'warning', 'a receiver is bringing it over')
  assert.equal(judge({ ...lost, receiver: undefined }).states, 'failed')
  assert.match(judge(lost).spool?.fix ?? '', /--spool DIR/)
})

test('a place that does not hold what it was given, or cannot be written, is said', () => {
  const at = (change: Partial<SpoolPlace>) => judge({ place: { ...place, ...change } }).spool
  assert.deepEqual([at({ fileSystem: 'memory' })?.state, at({ fileSystem: 'layer' })?.state], ['failed', 'warning'])
  assert.match(at({ fileSystem: 'NFS' })?.finding ?? '', /NFS/)
  assert.equal(at({ fileSystem: 'NFS' })?.state, 'warning')
  assert.equal(at({ sharesDiskWithData: true })?.state, 'warning')
  assert.equal(at({ problem: '/spool cannot be written by this user (EACCES)' })?.state, 'failed')
  assert.equal(judge({ isNeedless: true }).spool?.state, 'warning')
  const closed = judge({ place: { error: 'EIO' } })
  assert.deepEqual([closed.spool?.state, closed.space?.state], ['failed', 'skipped'])
  const foreign = judge({ held: new RetakeError('cluster.foreign', 'another cluster', { hint: 'name another' }) })
  assert.equal(foreign.states, 'failed passed skipped skipped')
  assert.equal(foreign.spool?.fix, 'name another')
})

test('too little space fails', () => {
  const space = (mib: number) => judge({ place: { ...place, space: { freeBytes: mib * MIB, totalBytes: 8000 * MIB } } })
  assert.deepEqual([space(48).space?.state, space(49).space?.state], ['failed', 'passed'])
})

test('WAL that nobody else holds fails where no receiver brings it over; what has no place always does', () => {
  const ahead = [{ timeline: 1, fromLsn: '0/5000000', toLsn: '0/5001000' }]
  const held = { ...empty, ahead, aheadBytes: 4096 }
  assert.equal(judge({ held }).wal?.state, 'passed')
  const alone = judge({ held, receiver: undefined }).wal
  assert.equal(alone?.state, 'failed')
  assert.match(alone?.finding ?? '', /0\/5001000 of timeline 1/)
  assert.equal(alone?.fix, 'retake wal receive --acknowledge local --spool /spool')
  assert.equal(judge({ held: { ...empty, stranded: ['x'] } }).wal?.state, 'failed')
  assert.equal(judge({ held: undefined }).wal?.state, 'unknown')
  const aside = judge({ held: { ...empty, setAside: { files: 2, bytes: 9 } } }).aside
  assert.equal(aside?.state, 'warning')
  assert.match(aside?.fix ?? '', /^retake backup/)
})
