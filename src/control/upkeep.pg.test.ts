/** What the control database forgets, and what it must not. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import '../../test/support/leaks.ts'
import { silentLogger } from '../base/progress.ts'
import { type ControlDatabase, openControlDatabase } from './database/open.ts'
import type { RunState } from './runs.ts'
import { claimChore, forgetRuns, forgetTold, thinScores } from './upkeep.ts'
import { openWorkflows } from './workflows/dbos.ts'

const DAY_MS = 86_400_000
const now = new Date('2026-11-23T12:00:00Z')
const ago = (days: number) => new Date(now.getTime() - days * DAY_MS)

let server: TestServer
let control: ControlDatabase
const at = makeTemp({ label: 'upkeep' })

before(async () => {
  server = await startTestServer()
  control = await openControlDatabase({
    url: `postgres://postgres@127.0.0.1:${server.server.port}/postgres`,
    directory: at.path,
  })
})

after(async () => {
  await control?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

interface Given {
  readonly id: string
  readonly days: number
  readonly state?: RunState
  readonly schedule?: string
  readonly cluster?: string
}

async function putRuns(runs: readonly Given[]): Promise<void> {
  const values = runs.map(({ id, days, state = 'succeeded', schedule, cluster = 'main' }) => ({
    id,
    cluster,
    task: 'backup',
    options: '{}',
    started_by: schedule === undefined ? 'token' : `schedule ${schedule}`,
    due_at: schedule === undefined ? null : ago(days),
    state,
    created_at: ago(days),
    ended_at: ['succeeded', 'failed', 'cancelled'].includes(state) ? ago(days) : null,
  }))
  await control.db.deleteFrom('run').execute()
  await control.db.insertInto('run').values(values).execute()
}

const left = async () => (await control.db.selectFrom('run').select('id').orderBy('id').execute()).map(({ id }) => id)

describe('runs', () => {
  test('are forgotten after 400 days, when they have ended', async () => {
    await putRuns([
      { id: 'young', days: 399 },
      { id: 'old', days: 401 },
      { id: 'old-failed', days: 401, state: 'failed' },
      { id: 'old-cancelled', days: 401, state: 'cancelled' },
      { id: 'running', days: 500, state: 'running' },
      { id: 'waiting', days: 500, state: 'waiting' },
      { id: 'queued', days: 500, state: 'queued' },
    ])
    assert.equal(await forgetRuns(control.db, now), 3)
    assert.deepEqual(await left(), ['queued', 'running', 'waiting', 'young'])
    assert.equal(await forgetRuns(control.db, now), 0)
  })

  test('the last of a schedule stays for ever: by its id servers know that it was done', async () => {
    await putRuns([
      { id: 'yearly-1', days: 1200, schedule: 'yearly' },
      { id: 'yearly-2', days: 835, schedule: 'yearly' },
      { id: 'leap', days: 1400, schedule: 'leap', state: 'failed' },
      { id: 'elsewhere', days: 1300, schedule: 'yearly', cluster: 'other' },
    ])
    assert.equal(await forgetRuns(control.db, now), 1)
    assert.deepEqual(await left(), ['elsewhere', 'leap', 'yearly-2'])
  })

  test('of each cluster so many are kept, and all of the last 30 days', async () => {
    const some = (name: string, days: number) =>
      Array.from({ length: 6 }, (_, index) => ({ id: `${name}-${index}`, days: days + index, cluster: name }))
    await putRuns([...some('busy', 31), ...some('recent', 1), ...some('quiet', 40).slice(0, 3)])
    assert.equal(await forgetRuns(control.db, now, 4), 2)
    const kept = await left()
    assert.deepEqual(
      kept.filter((id) => id.startsWith('busy')),
      ['busy-0', 'busy-1', 'busy-2', 'busy-3'],
    )
    assert.equal(kept.length, 4 + 6 + 3)
  })
})

test('scores: all of 30 days, then the worst of each day; what is unknown is the worst', async () => {
  const { db } = control
  const score = (cluster: string, time: string, value: number | null) => ({
    ...{ cluster, at: new Date(time), value, formula: 1, band: 'good', verdict: 'ok', points: 0, caps: '[]' },
  })
  await db
    .insertInto('health')
    .values([
      score('main', '2026-10-01T00:00:00Z', 90),
      score('main', '2026-10-01T10:00:00Z', 40),
      score('main', '2026-10-01T23:59:59Z', 95),
      score('main', '2026-10-02T00:00:00Z', 95),
      score('main', '2026-10-03T01:00:00Z', 10),
      score('main', '2026-10-03T02:00:00Z', null),
      score('other', '2026-10-01T11:00:00Z', 99),
      // The day of which a part is younger than 30 days stays whole.
      score('main', '2026-10-24T01:00:00Z', 80),
      score('main', '2026-10-24T02:00:00Z', 81),
      score('main', '2026-11-20T01:00:00Z', 80),
      score('main', '2026-11-20T02:00:00Z', 81),
    ])
    .execute()
  assert.equal(await thinScores(db, now), 3)
  assert.equal(await thinScores(db, now), 0)
  const rows = await db
    .selectFrom('health')
    .select(['at', 'value'])
    .where('cluster', '=', 'main')
    .orderBy('at')
    .execute()
  assert.deepEqual(
    rows.slice(0, 3).map(({ at: time, value }) => [time.toISOString().slice(0, 13), value]),
    [
      ['2026-10-01T10', 40],
      ['2026-10-02T00', 95],
      ['2026-10-03T02', null],
    ],
  )
  assert.equal(rows.length, 7)
})

test('a chore is done by one of many, and again when its time has come', async () => {
  const { db } = control
  const claim = (everyMs: number) => claimChore(db, { name: 'upkeep', everyMs })
  const claims = await Promise.all([1, 2, 3, 4].map(() => claim(DAY_MS)))
  assert.equal(claims.filter(Boolean).length, 1)
  assert.equal(await claim(DAY_MS), false)
  assert.equal(await claim(0), true)
})

test('workflows that have ended are taken out with their steps; those that have not stay', async () => {
  const { pool } = control
  const release = Promise.withResolvers<void>()
  const workflows = await openWorkflows<{ readonly wait: boolean }>({
    pool,
    server: 'one',
    concurrency: 4,
    logger: silentLogger,
    workflow: async ({ step }, { wait }) => {
      await step('work', async () => (wait ? await release.promise : undefined))
    },
  })
  try {
    const rows = async () => {
      const { rows: found } = await pool.query<{ id: string; status: string; steps: number }>(
        `select workflow_uuid as id, status, (select count(*)::int from retake_workflows.operation_outputs o
           where o.workflow_uuid = w.workflow_uuid) as steps from retake_workflows.workflow_status w
          where status <> 'ENQUEUED' order by 1`,
      )
      return found.map(({ id, status, steps }) => `${id} ${status} ${steps}`)
    }
    const come = async (...wanted: readonly string[]) => {
      while (!wanted.every((one) => found.includes(one))) found = await rows()
    }
    let found: string[] = []
    await workflows.start({ id: 'done', partition: 'a', input: { wait: false } })
    await workflows.start({ id: 'open', partition: 'b', input: { wait: true } })
    await come('done SUCCESS 1', 'open PENDING 0')
    assert.equal(await workflows.forget(new Date(0)), 0, 'it has ended later')
    assert.equal(await workflows.forget(new Date(Date.now() + DAY_MS)), 1)
    assert.deepEqual(await rows(), ['open PENDING 0'])
    assert.deepEqual([...(await workflows.unfinished())], ['open'])
    release.resolve()
    await come('open SUCCESS 1')
  } finally {
    await workflows.stop({ graceMs: 5_000 })
  }
})

describe('what was told', () => {
  const notice = (id: string, days: number, incident = id) => ({
    id,
    cluster: 'main',
    at: ago(days),
    body: JSON.stringify({ id, kind: 'fired', incident }),
  })
  const delivery = (of: string, channel: string, days: number | 'waiting') => ({
    notice: of,
    channel,
    incident: of,
    ...(days === 'waiting' ? { next_at: now } : { delivered_at: ago(days) }),
  })
  const alert = (key: string, state: string, days: number) => ({
    key,
    cluster: 'main',
    state,
    severity: 'warning',
    since: ago(days),
    body: JSON.stringify({ incident: key }),
    changed_at: ago(days),
  })
  const change = (key: string, state: string, days: number) => ({ key, state, at: ago(days) })
  const canary = (id: string, channel: string, days: number, isConfirmed = false) => ({
    notice: id,
    channel,
    code: id,
    at: ago(days),
    ...(isConfirmed ? { confirmed_at: ago(days), proven_at: ago(days) } : {}),
  })

  test('is forgotten after 400 days when it is over, but for what is needed still', async () => {
    const { db } = control
    await db
      .insertInto('notice')
      .values([
        notice('old', 401),
        notice('young', 399),
        notice('waiting', 500),
        notice('of-open', 500, 'open'),
        notice('last-of-sms', 600),
      ])
      .execute()
    await db
      .insertInto('delivery')
      .values([
        delivery('old', 'mail', 401),
        delivery('young', 'mail', 399),
        delivery('waiting', 'mail', 'waiting'),
        delivery('of-open', 'mail', 500),
        delivery('last-of-sms', 'sms', 600),
      ])
      .execute()
    await db
      .insertInto('alert')
      .values([alert('open', 'firing', 500), alert('over', 'resolved', 401), alert('lately', 'withdrawn', 399)])
      .execute()
    await db
      .insertInto('alert_change')
      .values([
        change('open', 'resolved', 900),
        change('open', 'firing', 500),
        change('over', 'resolved', 401),
        change('lately', 'firing', 450),
        change('lately', 'withdrawn', 399),
        change('nothing', 'pending', 31),
        change('nothing', 'pending', 29),
      ])
      .execute()
    await db
      .insertInto('canary')
      .values([
        canary('first', 'mail', 700, true),
        canary('proof', 'mail', 600, true),
        canary('unread', 'mail', 500),
        canary('newest', 'mail', 410),
        canary('only', 'sms', 600),
      ])
      .execute()
    assert.equal(await forgetTold(db, now), 2)
    const names = async (table: 'notice' | 'alert') => {
      const rows =
        table === 'notice'
          ? await db.selectFrom('notice').select('id as name').execute()
          : await db.selectFrom('alert').select('key as name').execute()
      return rows.map(({ name }) => name).sort()
    }
    assert.deepEqual(await names('notice'), ['last-of-sms', 'of-open', 'waiting', 'young'])
    assert.deepEqual(await names('alert'), ['lately', 'open'])
    const changes = await db.selectFrom('alert_change').select(['key', 'at']).orderBy('id').execute()
    assert.deepEqual(
      changes.map(({ key, at: when }) => [key, (now.getTime() - when.getTime()) / DAY_MS]),
      [
        ['open', 500],
        ['lately', 399],
        ['nothing', 29],
      ],
    )
    const canaries = (await db.selectFrom('canary').select('notice').execute()).map((row) => row.notice)
    assert.deepEqual(canaries.sort(), ['newest', 'only', 'proof'])
    assert.equal(await forgetTold(db, now), 0)
  })
})
