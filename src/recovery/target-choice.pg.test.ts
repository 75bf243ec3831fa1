import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { type ItemLab, openItemLab, type PlanRequest } from '../../test/support/item-lab.ts'
import type { Protection } from '../../test/support/lab.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { layOut, restore } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { isRetakeError } from '../base/errors.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { receiveWal } from '../sources/physical/receiver.ts'
import type { RestorePlan } from './plan-types.ts'

let stage: ItemLab
let server: TestServer
let lab: Protection
let content: DatabaseDigest

before(async () => {
  stage = await openItemLab()
  ;({ server, lab, content } = stage)
})

after(() => stage[Symbol.asyncDispose]())

const plan = (directory: string, request?: PlanRequest): Promise<RestorePlan> => stage.plan(directory, request)

test('an idle database can be restored to a moment after its last transaction', async () => {
  const [row] = await server.query<{ at: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at from pg_sleep(0.05)`,
  )
  // WAL goes on, as it does by itself now and then, but no transaction ends.
  await server.query(`select pg_create_restore_point('no transaction') from pg_sleep(0.05)`)
  await lab.catchUp()
  const made = await plan('/nonexistent/retake', { at: row?.at ?? '' })
  assert.equal(made.stop.setting.name, 'recovery_target_lsn')
  await using restored = await restore(lab, { at: row?.at ?? '' })
  assert.deepEqual(compareDigests(content, await digestDatabase(restored)), [])
})

test('a moment just before now can be restored after a catch-up that had nothing to receive', async () => {
  const [now] = await server.query<{ at: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  )
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { at: now?.at ?? '', start: false })
  assert.match(made.stop.why, /the archive had everything/)
})

test('what cannot be reached is refused, each with its own code', async () => {
  const [backup] = await server.query<{ xid: string }>('select txid_current()::text as xid')
  const future = new Date(Date.now() + 3_600_000).toISOString()
  const table: Record<string, string> = {
    [future]: 'target.outside',
    '2020-01-01T00:00:00Z': 'target.outside',
    'lsn:0/1': 'target.outside',
    'lsn:FF/0': 'target.outside',
    'xid:4000000000': 'target.missing',
    [`xid:${backup?.xid}`]: 'target.missing',
    'name:never': 'target.missing',
  }
  for (const [at, code] of Object.entries(table))
    await assert.rejects(plan('/nonexistent/retake', { at }), { code }, at)
  await assert.rejects(plan('/nonexistent/retake', { timeline: 7 }), { code: 'target.outside' })
  await assert.rejects(plan('/nonexistent/retake', { backupId: '20200101T000000Z-00000000' }), {
    code: 'backup.missing',
  })
  await assert.rejects(plan('/nonexistent/retake', { tablespaceMap: { '/not/there': '/x' } }), {
    code: 'config.invalid',
  })
})

test('a transaction that was rolled back is no target', async () => {
  const [row] = await server.query<{ xid: string }>(
    'begin; create table never (); select pg_current_xact_id()::text as xid',
  )
  await server.query('rollback')
  // The end of a transaction that was rolled back is written out with the next commit.
  await server.query('create table written_out ()')
  await server.query('drop table written_out')
  await lab.catchUp()
  await assert.rejects(plan('/nonexistent/retake', { at: `xid:${row?.xid}` }), (error) => {
    return isRetakeError(error, 'target.missing') && /rolled back/.test(error.message)
  })
})

test('a name used twice means the later one', async () => {
  await server.query(`select pg_create_restore_point('twice')`)
  await server.query(`insert into plain values (-1, 'between')`)
  const expected = await digestDatabase(server)
  await server.query(`select pg_create_restore_point('twice')`)
  await server.query(`insert into plain values (-2, 'after')`)
  await lab.catchUp()
  await using restored = await restore(lab, { at: 'name:twice' })
  assert.match(restored.plan.stop.why, /latest is taken/)
  assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [])
})

test('a restored server is protected again on its new timeline, and restored across the switch', async () => {
  await using first = await restore(lab, { at: 'latest' })
  const { cluster } = lab
  await server.kill()
  await first.query(`insert into plain values (-4, 'second life')`)
  await receiveWal({ cluster, target: first.target, slot: lab.slot, until: { kind: 'caught-up' } })
  const expected = await digestDatabase(first)
  // From the backup of timeline 1, across the switch, to the end of timeline 2.
  await using second = await restore(lab, { at: 'latest' })
  assert.deepEqual(compareDigests(expected, await digestDatabase(second)), [])
  assert.deepEqual(
    second.plan.target.path.map((step) => step.timeline),
    [1, 2],
  )
  assert.equal(second.report.reached?.newTimeline, 3)
  // The old timeline can still be asked for.
  await using old = await layOut(lab, { at: 'latest', timeline: 1 })
  assert.equal(old.plan.target.timeline, 1)
  // Without its history file the newer timeline is refused, not passed over.
  const history = join(lab.url, 'clusters/main/wal/history/00000002')
  const bytes = readFileSync(history)
  rmSync(history)
  await assert.rejects(plan('/nonexistent/retake'), { code: 'wal.history-missing' })
  writeFileSync(history, bytes)
})
