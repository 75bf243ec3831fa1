import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../test/support/leaks.ts'
import { type ItemLab, openItemLab, type PlanRequest } from '../../test/support/item-lab.ts'
import type { Protection } from '../../test/support/lab.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { stopServer } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { isRetakeError } from '../base/errors.ts'
import type { Progress } from '../base/progress.ts'
import { segmentName } from '../postgres/lsn.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { listSegments } from '../repository/testing/segments.ts'
import { readWalInventory } from '../repository/wal-archive.ts'
import { segmentName as archivedName } from '../repository/wal-layout.ts'
import { applyRestore } from './apply.ts'
import type { RestorePlan } from './plan-types.ts'
import { MARKER } from './target-directory.ts'

let stage: ItemLab
let server: TestServer
let lab: Protection

before(async () => {
  stage = await openItemLab()
  ;({ server, lab } = stage)
})

after(() => stage[Symbol.asyncDispose]())

const plan = (directory: string, request?: PlanRequest): Promise<RestorePlan> => stage.plan(directory, request)

test('a target directory that is not ours is never touched', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const made = await plan(directory, { start: false })
  mkdirSync(directory)
  writeFileSync(join(directory, 'precious'), 'mine')
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'restore.refused' })
  assert.deepEqual(readdirSync(directory), ['precious'])
})

test('a plan that was edited, or whose backup has gone, is refused before anything is written', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { start: false })
  const edited = { ...made, place: { ...made.place, targetDirectory: temp.join('other') } }
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: edited }), { code: 'plan.stale' })
  assert.deepEqual(readdirSync(temp.path), [])
})

test('an aborted restore leaves nothing that starts, and applying the plan again succeeds', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const made = await plan(directory, { start: false })
  const stop = new AbortController()
  // Not while the WAL is proved, which comes before anything is laid out.
  const onProgress = ({ phase }: Progress) => {
    if (phase === 'files') stop.abort()
  }
  await assert.rejects(
    applyRestore({ cluster: lab.cluster, plan: made, signal: stop.signal, onProgress, workers: 0 }),
    {
      code: 'aborted',
    },
  )
  assert.equal(existsSync(join(directory, 'global', 'pg_control')), false)
  assert.ok(existsSync(join(directory, MARKER)))
  await applyRestore({ cluster: lab.cluster, plan: made })
  assert.ok(existsSync(join(directory, 'global', 'pg_control')))
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'restore.refused' })
})

test('a damaged end of the archive costs the last moments only', async () => {
  await server.query(`select pg_create_restore_point('safe'), pg_switch_wal()`)
  await server.query(`insert into plain values (-5, 'at the end')`)
  await lab.catchUp()
  const tails = join(lab.url, 'clusters/main/wal/00000001/tail')
  const originals = readdirSync(tails).map((name) => [join(tails, name), readFileSync(join(tails, name))] as const)
  assert.ok(originals.length > 0)
  for (const [file, bytes] of originals) {
    const flipped = Buffer.from(bytes)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    writeFileSync(file, flipped)
  }
  const safe = await plan('/nonexistent/retake', { at: 'name:safe' })
  assert.equal(safe.stop.setting.value, 'safe')
  for (const at of ['latest', 'xid:4000000000', new Date().toISOString()]) {
    await assert.rejects(plan('/nonexistent/retake', { at }), { code: 'repo.damaged' }, at)
  }
  for (const [file, bytes] of originals) writeFileSync(file, bytes)
})

test('a damaged manifest costs its own backup only', async () => {
  const second = await lab.backUp()
  await lab.catchUp()
  const file = join(lab.url, 'clusters/main/backups', second.backupId)
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, bytes.length - 1))
  const made = await plan('/nonexistent/retake')
  assert.notEqual(made.backup.backupId, second.backupId)
  assert.ok(made.warnings.some((warning) => warning.includes(second.backupId)))
  await assert.rejects(plan('/nonexistent/retake', { backupId: second.backupId }), { code: 'repo.damaged' })
  rmSync(file)
  writeFileSync(file, bytes)
  assert.equal((await plan('/nonexistent/retake')).backup.backupId, second.backupId)
  rmSync(file)
})

test('a damaged segment inside the range stops the recovery; nothing is promoted', async () => {
  await server.query('select pg_switch_wal()')
  await server.query(`insert into plain values (-3, 'x')`)
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'))
  const wal = join(lab.url, 'clusters/main/wal/00000001')
  // With segments of 16 MiB the last eight digits are the whole number.
  const segment = made.wal.firstSegment.slice(-8).padStart(16, '0')
  const file = join(wal, segment)
  const bytes = readFileSync(file)
  const flipped = Buffer.from(bytes)
  flipped[200] = (flipped[200] ?? 0) ^ 1
  rmSync(file)
  writeFileSync(file, flipped)
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), (error) => {
    return isRetakeError(error, 'repo.damaged') && error.message.includes(segment)
  })
  rmSync(file)
  await assert.rejects(plan(temp.join('other')), { code: 'wal.gap' })
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'plan.stale' })
  writeFileSync(file, bytes)
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  if (report.server) await stopServer(report.server.pid)
})

test('files that are not started are called ready only when their WAL has proved itself', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { start: false })
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  assert.ok(report.phases.some(({ name }) => name === 'wal'))
  const segments = listSegments(await readWalInventory(lab.cluster))
  const size = lab.cluster.facts.walSegmentSizeBytes
  const first = segments.find((one) => !one.partial && segmentName(one, size) === made.wal.firstSegment)
  if (first === undefined) return assert.fail('no whole segment is held')
  const { key } = archivedName(lab.cluster.facts.name, first)
  const bytes = Buffer.from((await lab.cluster.store.get(key)) ?? [])
  const harmed = Buffer.from(bytes)
  harmed[200] = (harmed[200] ?? 0) ^ 1
  const other = await plan(temp.join('other'), { start: false })
  await lab.cluster.store.replace(key, harmed)
  try {
    await assert.rejects(applyRestore({ cluster: lab.cluster, plan: other }), { code: 'repo.damaged' })
    assert.equal(existsSync(temp.join('other')), false, 'nothing was laid out')
  } finally {
    await lab.cluster.store.replace(key, bytes)
  }
})
