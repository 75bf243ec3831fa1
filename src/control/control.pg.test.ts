import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import '../../test/support/leaks.ts'
import { sleep } from '../base/abort.ts'
import { bad, reportOf } from '../monitor/alerts/testing/reports.ts'
import { claimAnswer, releaseAnswer, settleAnswer } from './answers.ts'
import { codeOf, confirmCanary, readChannelStates, recordCanary } from './canaries.ts'
import { oneAtATime } from './database/one-at-a-time.ts'
import { type ControlDatabase, openControlDatabase } from './database/open.ts'
import { lastLook, listScores, recordLook } from './health.ts'
import { findFree, holdLeases } from './leases.ts'
import { claimDeliveries, listNotices, recordNotices, recordTried, settleDelivery } from './outbox.ts'
import { beginAttempt, cancelRun, changeRun, listRuns, type RunRequest, readRun, recordRun } from './runs.ts'
import { keptSchedules, notePutOff, noteSchedules } from './schedules.ts'
import { buryServers, livingServers, registerServer } from './servers.ts'

let server: TestServer
let control: ControlDatabase

const at = makeTemp({ label: 'control' })
const url = () => `postgres://postgres@127.0.0.1:${server.server.port}/postgres`

before(async () => {
  server = await startTestServer()
  // Several servers that come up at once on an empty database.
  const opened = await Promise.all([1, 2, 3].map(() => openControlDatabase({ url: url(), directory: at.path })))
  control = opened[0] as ControlDatabase
  await Promise.all(opened.slice(1).map((one) => one[Symbol.asyncDispose]()))
})

after(async () => {
  await control?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

test('a server that comes up waits for one that changes the form of the database', async () => {
  const [entered, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const order: string[] = []
  const changing = oneAtATime(control.pool, async () => {
    entered.resolve()
    await gate.promise
    order.push('changed')
  })
  await entered.promise
  const opening = openControlDatabase({ url: url(), directory: at.path }).then((opened) => {
    order.push('opened')
    return opened
  })
  // Long enough for one that does not wait.
  await Promise.race([opening, sleep(500)])
  gate.resolve()
  await changing
  await (await opening)[Symbol.asyncDispose]()
  assert.deepEqual(order, ['changed', 'opened'])
})

const request = (id: string): RunRequest => ({ id, cluster: 'main', task: 'backup', options: {}, startedBy: 'token' })

describe('leases', () => {
  test('each is held by one, kept by its holder, and free when its time is over', async () => {
    const { db } = control
    const names = ['a', 'b', 'c', 'd']
    const both = await Promise.all(['one', 'two'].map((name) => holdLeases(db, { server: name, names })))
    assert.deepEqual([...both.map((held) => [...held])].flat().sort(), names)
    assert.deepEqual(await findFree(db, [...names, 'e']), ['e'])
    const holder = both[0]?.has('a') ? 'one' : 'two'
    assert.ok((await holdLeases(db, { server: holder, names: ['a'] })).has('a'))
    await db
      .updateTable('lease')
      .set({ expires_at: new Date(0) })
      .where('name', '=', 'a')
      .execute()
    assert.ok((await holdLeases(db, { server: 'three', names: ['a'] })).has('a'))
  })

  test('a server that was not seen for long is dead, and its leases go with it', async () => {
    const { db } = control
    await registerServer(db, { id: 'quick', version: '1' })
    await registerServer(db, { id: 'silent', version: '1' })
    await holdLeases(db, { server: 'silent', names: ['of-the-dead'] })
    await db
      .updateTable('server')
      .set({ seen_at: new Date(0) })
      .where('id', '=', 'silent')
      .execute()
    const living = await livingServers(db)
    assert.deepEqual([living.has('quick'), living.has('silent')], [true, false])
    await buryServers(db, living)
    assert.deepEqual(await findFree(db, ['of-the-dead']), ['of-the-dead'])
  })
})

describe('runs', () => {
  test('one that is asked for twice is on record once; one that has ended stays as it is', async () => {
    const { db } = control
    assert.deepEqual(
      await Promise.all([1, 2, 3].map(() => recordRun(db, request('twice')))).then((all) => all.filter(Boolean).length),
      1,
    )
    assert.equal(await beginAttempt(db, 'twice'), 1)
    assert.equal(await beginAttempt(db, 'twice'), 2)
    await changeRun(db, 'twice', { state: 'succeeded', result: { backupId: 'b' } })
    await changeRun(db, 'twice', {
      state: 'failed',
      error: { code: 'internal', message: '', retry: 'never', details: {} },
    })
    assert.equal(await cancelRun(db, { id: 'twice', by: 'ada' }), false)
    assert.equal(await beginAttempt(db, 'twice'), undefined)
    const run = await readRun(db, 'twice')
    assert.deepEqual([run?.state, run?.result, run?.attempts], ['succeeded', { backupId: 'b' }, 2])
  })

  test('a list is read page by page, the newest first, and nothing twice or not at all', async () => {
    const { db } = control
    for (let number = 0; number < 25; number += 1)
      await recordRun(db, { ...request(`page-${number}`), cluster: 'pages' })
    const seen: string[] = []
    for (;;) {
      const known = await listRuns(db, { cluster: 'pages', limit: 1000 })
      const last = known.find(({ id }) => id === seen.at(-1))
      const page = await listRuns(db, { cluster: 'pages', limit: 7, ...(last ? { before: last } : {}) })
      seen.push(...page.map(({ id }) => id))
      if (page.length < 7) break
    }
    assert.equal(new Set(seen).size, 25)
    assert.equal(seen.length, 25)
  })
})

test('since when a schedule is kept: until it is another one, or gone; and what is put off', async () => {
  const { db } = control
  const day = (number: number) => new Date(Date.UTC(2026, 10, number))
  const note = (number: number, schedules: Record<string, string>, cluster = 'main') =>
    noteSchedules(db, {
      cluster,
      schedules: Object.entries(schedules).map(([name, definition]) => ({ name, definition })),
      now: day(number),
    })
  await note(1, { nightly: 'a' }, 'other')
  await note(2, { nightly: 'a', verify: 'b' })
  const putOff = { at: day(2).toISOString(), since: day(2).toISOString(), until: day(3).toISOString(), because: ['x'] }
  await notePutOff(db, { cluster: 'main', name: 'nightly' }, putOff)
  // Another server, or the same one after a restart.
  assert.deepEqual(await note(3, { nightly: 'a', verify: 'changed' }), [
    { name: 'nightly', since: day(2), putOff },
    { name: 'verify', since: day(3) },
  ])
  await notePutOff(db, { cluster: 'main', name: 'nightly' }, undefined)
  await note(4, { verify: 'changed' })
  assert.deepEqual(await note(5, { nightly: 'a', verify: 'changed' }), [
    { name: 'nightly', since: day(5) },
    { name: 'verify', since: day(3) },
  ])
  assert.deepEqual(await note(6, {}), [])
  assert.deepEqual(await keptSchedules(db, 'other'), [{ name: 'nightly', since: day(1) }])
})

describe('notices', () => {
  const notice = (id: string, seconds: number) => ({
    id,
    kind: 'fired' as const,
    at: new Date(Date.UTC(2026, 10, 23, 0, 0, seconds)).toISOString(),
    incident: 'incident',
    severity: 'critical' as const,
    cluster: 'main',
    headline: id,
    alerts: [],
  })

  test('each is claimed by one, in their order on each channel, and told once', async () => {
    const { db } = control
    const outgoing = [
      { notice: notice('first', 1), channels: ['mail', 'pager'] },
      { notice: notice('second', 2), channels: ['mail'] },
    ]
    await recordNotices(db, outgoing)
    await recordNotices(db, outgoing)
    const claimed = (await Promise.all([1, 2, 3].map(() => claimDeliveries(db, { limit: 10 })))).flat()
    assert.deepEqual(claimed.map(({ notice: { id }, channel }) => `${id} ${channel}`).sort(), [
      'first mail',
      'first pager',
    ])
    const receipt = {
      channel: 'mail',
      kind: 'email',
      notice: 'first',
      incident: 'incident',
      at: notice('first', 1).at,
    } as const
    await settleDelivery(db, { notice: 'first', channel: 'mail' }, { receipt })
    const [next, ...more] = await claimDeliveries(db, { limit: 10 })
    assert.deepEqual([next?.notice.id, next?.previous, more], ['second', receipt, []])
    // It was given up: what comes later does not wait for it.
    const failure = { code: 'notice.denied', message: 'No.', mayRetry: false } as const
    await settleDelivery(db, { notice: 'first', channel: 'pager' }, { failure })
    await recordNotices(db, [{ notice: notice('third', 3), channels: ['pager'] }])
    assert.deepEqual(
      (await claimDeliveries(db, { limit: 10 })).map(({ notice: { id } }) => id),
      ['third'],
    )
    const [, , first] = await listNotices(db, { limit: 10 })
    assert.deepEqual(
      first?.deliveries.map(({ channel, state }) => `${channel} ${state}`),
      ['mail delivered', 'pager failed'],
    )
  })

  test('what a server that died had claimed is claimed again later', async () => {
    const { db } = control
    await recordNotices(db, [{ notice: { ...notice('left', 9), incident: 'other' }, channels: ['mail'] }])
    assert.equal((await claimDeliveries(db, { limit: 10 })).length, 1)
    assert.equal((await claimDeliveries(db, { limit: 10 })).length, 0)
    await db
      .updateTable('delivery')
      .set({ next_at: sql<Date>`now() - interval '1 second'` })
      .where('notice', '=', 'left')
      .execute()
    const [again] = await claimDeliveries(db, { limit: 10 })
    assert.equal(again?.attempt, 2)
  })
})

describe('canaries', () => {
  const failure = { code: 'notice.denied', message: 'No.', mayRetry: false } as const
  const canary = (id: string, channel: string, minute: number) => ({
    notice: {
      id,
      kind: 'canary' as const,
      at: new Date(Date.UTC(2026, 10, 23, 9, minute)).toISOString(),
      incident: `canary-${id}`,
      severity: 'info' as const,
      headline: id,
      alerts: [],
    },
    channel,
    code: `CODE-${id}`,
  })
  const receiptOf = (notice: string, channel: string) =>
    ({ channel, kind: 'webhook', notice, incident: 'i', at: new Date().toISOString() }) as const

  test('one is proven from its delivery on by who knows its code; what comes of the others is known', async () => {
    const { db } = control
    const names = ['proven', 'silent', 'broken', 'unused']
    const state = async (name: string) => (await readChannelStates(db, names)).find((one) => one.name === name)
    for (const [id, channel] of [
      ['c1', 'proven'],
      ['c2', 'silent'],
      ['c3', 'broken'],
    ] as const) {
      await recordCanary(db, canary(id, channel, 0))
      assert.equal((await state(channel))?.canary?.state, 'waiting')
    }
    // The same again changes nothing, not even its code.
    await recordCanary(db, { ...canary('c1', 'proven', 0), code: 'OTHER' })
    assert.equal(await codeOf(db, 'c1'), 'CODE-c1')
    await claimDeliveries(db, { limit: 10 })
    await settleDelivery(db, { notice: 'c1', channel: 'proven' }, { receipt: receiptOf('c1', 'proven') })
    await settleDelivery(db, { notice: 'c3', channel: 'broken' }, { failure })
    assert.equal((await state('proven'))?.canary?.state, 'delivered')
    assert.equal((await state('proven'))?.provenAt, undefined)

    assert.equal(await confirmCanary(db, { code: 'NONE', by: 'ada' }), undefined)
    const confirmed = await confirmCanary(db, { code: 'CODE-c1', by: 'ada' })
    assert.deepEqual([confirmed?.channel, confirmed?.confirmedBy], ['proven', 'ada'])
    const proven = await state('proven')
    assert.deepEqual([proven?.canary?.state, proven?.provenAt], ['confirmed', proven?.deliveredAt])
    assert.deepEqual(await confirmCanary(db, { code: 'CODE-c1', by: 'bob' }), confirmed)
    // A newer one that nobody has confirmed leaves the proof as old as it is.
    await recordCanary(db, canary('c4', 'proven', 1))
    assert.deepEqual(
      [(await state('proven'))?.canary?.notice, (await state('proven'))?.provenAt],
      ['c4', proven?.provenAt],
    )

    assert.equal((await state('broken'))?.canary?.state, 'failed')
    assert.deepEqual((await state('broken'))?.givenUp?.failure, failure)
    assert.deepEqual(await state('unused'), { name: 'unused' })
  })

  test('a test that fails does not make a channel a failing one, and one that arrives ends a failure', async () => {
    const { db } = control
    const notice = { ...canary('t1', 'tried', 0).notice, kind: 'test' as const }
    await recordTried(db, { notice, channel: 'tried', end: { failure } })
    assert.deepEqual(await readChannelStates(db, ['tried']), [{ name: 'tried' }])
    await recordTried(db, {
      notice: { ...notice, id: 't2' },
      channel: 'tried',
      end: { receipt: receiptOf('t2', 'tried') },
    })
    const [state] = await readChannelStates(db, ['tried'])
    assert.ok(state?.deliveredAt)
    assert.deepEqual(
      await claimDeliveries(db, { limit: 10 }).then((all) => all.filter(({ channel }) => channel === 'tried')),
      [],
    )
  })
})

test('scores: every change, and what stays the same once an hour; a look of long ago stays what it was', async () => {
  const { db } = control
  const look = async (minute: number, world: Parameters<typeof reportOf>[0] = {}) =>
    recordLook(db, { report: reportOf(world, new Date(Date.UTC(2026, 10, 23, 0, minute))), metrics: [] })
  for (const minute of [0, 1, 2, 59]) await look(minute)
  await look(60)
  await look(61, { repository: bad })
  await look(62, { repository: bad })
  const scores = await listScores(db, { cluster: 'main', limit: 100 })
  assert.deepEqual(
    scores.map(({ at: time }) => time.toISOString().slice(11, 16)),
    ['01:01', '01:00', '00:00'],
  )
  assert.ok(scores.every(({ formula }) => formula === 1))
  assert.equal((await lastLook(db, 'main'))?.at, '2026-11-23T01:02:00.000Z')
})

test('an action is answered once: of many at the same time one is to do it', async () => {
  const { db } = control
  const claims = await Promise.all(Array.from({ length: 8 }, () => claimAnswer(db, { key: 'k', fingerprint: 'f' })))
  assert.equal(claims.filter(({ state }) => state === 'claimed').length, 1)
  assert.deepEqual(await claimAnswer(db, { key: 'k', fingerprint: 'g' }), { state: 'other' })
  await settleAnswer(db, 'k', { status: 202, body: '{}' })
  assert.deepEqual(await claimAnswer(db, { key: 'k', fingerprint: 'f' }), {
    state: 'answered',
    answer: { status: 202, body: '{}' },
  })
  await claimAnswer(db, { key: 'free', fingerprint: 'f' })
  await releaseAnswer(db, 'free')
  assert.equal((await claimAnswer(db, { key: 'free', fingerprint: 'other' })).state, 'claimed')
})

test("a database of the server's own: kept over a restart, and refused to a second server", async () => {
  await using temp = makeTemp({ label: 'own' })
  const directory = temp.join('data')
  {
    await using own = await openControlDatabase({ directory })
    assert.equal(own.kind, 'own')
    await recordRun(own.db, request('kept'))
    await assert.rejects(openControlDatabase({ directory }), {
      code: 'control.unavailable',
      message: /in use by another server/,
    })
  }
  await using again = await openControlDatabase({ directory })
  assert.equal((await readRun(again.db, 'kept'))?.state, 'queued')
})
