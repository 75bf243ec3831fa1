/** The client against every recorded answer, and against everything that goes wrong on the way. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import type { Clock } from '../../base/clock.ts'
import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import type { Fault } from '../test-server/faults.ts'
import { type ManagementServerOptions, startManagementServer } from '../test-server/server.ts'
import { SupabaseManagement } from './api.ts'
import type { ManagementOptions } from './http.ts'

const REF = 'abcdefghijklmnopqrst'

/** A clock that only waiting moves. */
function fakeTime() {
  let nowMs = Date.parse('2026-11-22T09:00:00Z')
  const waits: number[] = []
  const clock: Clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs }
  const sleep = async (ms: number) => {
    waits.push(ms)
    nowMs += ms
  }
  return { clock, sleep, waits }
}

async function start(options: ManagementServerOptions & { client?: Partial<ManagementOptions> } = {}) {
  const time = fakeTime()
  const server = await startManagementServer({ projects: [{ ref: REF }], clock: time.clock, ...options })
  const api = new SupabaseManagement({ token: server.token, url: server.url, ...time, ...options.client })
  return { server, api, time, [Symbol.asyncDispose]: () => server.close() }
}

async function failure(work: Promise<unknown>): Promise<RetakeError> {
  try {
    await work
  } catch (error) {
    assert(isRetakeError(error), inspect(error))
    return error
  }
  return assert.fail('it did not fail')
}

describe('answers that were recorded from the real API', () => {
  const recorded: readonly {
    readonly name: string
    readonly answer: { readonly status: number; readonly body: unknown }
    readonly ask: (api: SupabaseManagement) => Promise<unknown>
    readonly gives: unknown
  }[] = [
    {
      name: 'the backups of a fresh project: WAL-G on, point-in-time recovery off, none listed',
      answer: {
        status: 200,
        body: { region: 'us-east-1', pitr_enabled: false, walg_enabled: true, backups: [], physical_backup_data: {} },
      },
      ask: (api) => api.backups(REF),
      gives: { region: 'us-east-1', pitr_enabled: false, walg_enabled: true, backups: [], physical_backup_data: {} },
    },
    {
      name: 'a project',
      answer: {
        status: 200,
        body: {
          id: REF,
          ref: REF,
          organization_id: 'org',
          organization_slug: 'org',
          name: 'p',
          region: 'us-east-1',
          created_at: '2026-05-20T09:11:27.412Z',
          status: 'ACTIVE_HEALTHY',
          database: { host: 'h', version: '17.6.1.111', postgres_engine: '17', release_channel: 'ga', newer: 1 },
        },
      },
      ask: async (api) => (await api.project(REF)).database,
      gives: { host: 'h', version: '17.6.1.111', postgres_engine: '17', release_channel: 'ga' },
    },
    {
      name: 'a project that is coming up has no database yet',
      answer: { status: 200, body: { id: REF, name: 'p', region: 'us-east-1', status: 'UNKNOWN' } },
      ask: async (api) => (await api.project(REF)).status,
      gives: 'UNKNOWN',
    },
    { name: 'a restore', answer: { status: 201, body: {} }, ask: (api) => api.restorePitr(REF, 1), gives: undefined },
    {
      name: 'no setting overridden',
      answer: { status: 200, body: {} },
      ask: (api) => api.postgresConfig(REF),
      gives: {},
    },
    {
      name: 'rows of a query',
      answer: { status: 201, body: [{ '?column?': 1 }] },
      ask: (api) => api.queryReadOnly(REF, 'select 1'),
      gives: [{ '?column?': 1 }],
    },
    {
      name: 'legacy keys, masked',
      answer: {
        status: 200,
        body: [{ name: 'anon', id: 'anon', type: 'legacy', api_key: '····', prefix: null, secret_jwt_template: null }],
      },
      ask: (api) => api.apiKeys(REF),
      gives: [{ name: 'anon', id: 'anon', type: 'legacy', api_key: '····' }],
    },
  ]
  for (const { name, answer, ask, gives } of recorded) {
    test(name, async () => {
      await using started = await start()
      started.server.fault({ kind: 'answer', ...answer })
      assert.deepEqual(await ask(started.api), gives)
      assert.deepEqual(started.server.pendingFaults, [])
    })
  }

  test('an empty body of an accepted restore', async () => {
    await using started = await start()
    started.server.fault({ kind: 'answer', status: 201, body: '' })
    await started.api.restorePitr(REF, 1)
  })

  const refusals: readonly (readonly [status: number, body: unknown, code: string, says: RegExp])[] = [
    [400, { message: 'PITR is not enabled for this project.' }, 'supabase.refused', /PITR is not enabled/],
    [400, { message: 'Project not ready for deletion.', errorEventId: 'x' }, 'supabase.refused', /not ready/],
    [401, { message: 'Unauthorized' }, 'supabase.denied', /token was not accepted/],
    [402, { message: 'Feature requires a higher plan' }, 'supabase.plan', /plan does not include/],
    [403, { message: 'Forbidden' }, 'supabase.denied', /does not allow/],
    [404, '', 'supabase.missing', /no such thing/],
    [406, '', 'supabase.refused', /\(406\)\.$/],
    [422, { message: ['a must be b', 'c must be d'] }, 'supabase.refused', /a must be b; c must be d/],
    [500, { error: { message: 'inner' } }, 'supabase.failed', /inner/],
    [544, 'connection timed out', 'supabase.failed', /544\): connection timed out/],
    [302, '', 'supabase.protocol', /302/],
  ]
  for (const [status, body, code, says] of refusals) {
    test(`${status} ${JSON.stringify(body)}`, async () => {
      await using started = await start()
      started.server.fault({ kind: 'answer', status, body, times: 3 })
      const error = await failure(started.api.backups(REF))
      assert.equal(error.code, code)
      assert.match(error.message, says)
      assert.match(error.message, /GET \/v1\/projects\/abcdefghijklmnopqrst\/database\/backups/)
    })
  }
})

describe('what the test server answers, the client understands', () => {
  const PITR = { mode: 'pitr', days: 7, earliestUnix: 1_763_000_000, latestUnix: 1_763_500_000 } as const

  test('every call', async () => {
    await using started = await start({
      projects: [
        {
          ref: REF,
          backups: PITR,
          rootKey: 'ab'.repeat(32),
          buckets: [{ id: 'posters', name: 'posters', public: true }],
          postgresConfig: { max_slot_wal_keep_size: '4096' },
          lints: [{ name: 'pitr_not_enabled', level: 'WARN' }],
          query: async () => [{ one: 1 }],
        },
      ],
    })
    const { api } = started
    assert.deepEqual(
      (await api.projects()).map(({ ref }) => ref),
      [REF],
    )
    assert.equal((await api.project(REF)).status, 'ACTIVE_HEALTHY')
    assert.deepEqual(await api.health(REF, { services: ['db', 'auth'] }), [
      { name: 'db', healthy: true, status: 'ACTIVE_HEALTHY' },
      { name: 'auth', healthy: true, status: 'ACTIVE_HEALTHY' },
    ])
    assert.equal((await api.backups(REF)).pitr_enabled, true)
    assert.equal((await api.backupSchedule(REF)).schedule_for, '02:00:00')
    assert.equal((await api.setBackupSchedule(REF, '04:30:00')).schedule_for, '04:30:00')
    assert.equal((await api.organization('cinetrack-org')).plan, 'pro')
    assert.equal((await api.entitlements('cinetrack-org')).entitlements[0]?.config?.value, 7)
    assert.equal((await api.addons(REF)).selected_addons[0]?.variant.id, 'pitr_7')
    assert.equal((await api.advisors(REF, 'security')).lints[0]?.name, 'pitr_not_enabled')
    assert.deepEqual(await api.postgresConfig(REF), { max_slot_wal_keep_size: '4096' })
    assert.equal((await api.apiKeys(REF, { reveal: true }))[0]?.api_key, 'revealed-anon-key')
    assert.equal((await api.storageBuckets(REF))[0]?.name, 'posters')
    assert.equal(await api.pgsodiumRootKey(REF), 'ab'.repeat(32))
    assert.deepEqual(await api.queryReadOnly(REF, 'select 1 as one'), [{ one: 1 }])
  })

  test('plans, scopes and references are minded', async () => {
    await using started = await start({
      projects: [{ ref: REF, plan: 'free' }],
      tokens: { reader: ['projects:read', 'database:read'], all: 'all' },
    })
    const { api, server } = started
    const writer = new SupabaseManagement({ token: 'all', url: server.url })
    assert.equal((await failure(api.backupSchedule(REF))).code, 'supabase.plan')
    assert.equal((await failure(api.restorePitr(REF, 1))).code, 'supabase.denied')
    assert.match((await failure(writer.restorePitr(REF, 1))).message, /PITR is not enabled for this project\./)
    assert.equal((await failure(writer.project('zzzzzzzzzzzzzzzzzzzz'))).code, 'supabase.missing')
    const asked = server.requests.length
    for (const ref of ['', 'short', '../../v1/projects', `${REF}/pause`]) {
      assert.throws(() => writer.project(ref), { code: 'config.invalid' })
    }
    assert.equal(server.requests.length, asked, 'a reference that cannot be one was sent')
    const stranger = new SupabaseManagement({ token: 'stranger', url: server.url })
    assert.equal((await failure(stranger.projects())).code, 'supabase.denied')
  })
})

describe('limits of rate', () => {
  test('after a 429 the client waits for as long as it was told, then goes on, also for what changes something', async () => {
    await using started = await start({
      projects: [{ ref: REF, backups: { mode: 'pitr', days: 7, earliestUnix: 0, latestUnix: 100 } }],
    })
    const { server, api, time } = started
    server.fault({ kind: 'rate-limit', resetSeconds: 17 })
    await api.restorePitr(REF, 50)
    assert.equal(time.waits[0], 17_000)
    assert.deepEqual(server.project(REF).restores, [50])
  })

  test('the last request that is allowed is followed by a wait, not by a refusal', async () => {
    await using started = await start({ requestsPerMinute: 2 })
    const { server, api, time } = started
    for (let i = 0; i < 5; i++) await api.project(REF)
    assert.deepEqual(
      server.requests.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    )
    assert.deepEqual(time.waits, [60_000, 60_000])
    await api.backups(REF)
    assert.equal(time.waits.length, 2, 'another call has a limit of its own')
  })

  test('a wait that is longer than allowed is an error at once, and stays one while it lasts', async () => {
    await using started = await start({ client: { maxWaitMs: 5000 } })
    const { server, api } = started
    server.fault({ kind: 'rate-limit', resetSeconds: 30 })
    assert.equal((await failure(api.project(REF))).code, 'supabase.rate-limited')
    assert.equal((await failure(api.project(REF))).code, 'supabase.rate-limited')
    assert.equal(server.requests.length, 1, 'it asked again although it was told to wait')
  })
})

describe('faults on the way', () => {
  const passing: readonly Fault[] = [
    { kind: 'html', status: 502 },
    { kind: 'html', status: 503, title: 'Service unavailable' },
    { kind: 'answer', status: 544, body: { message: 'timeout' } },
    { kind: 'reset' },
    { kind: 'truncated' },
    { kind: 'half-open' },
    { kind: 'stalled-body' },
  ]
  for (const fault of passing) {
    const name = `${fault.kind}${'status' in fault ? ` ${fault.status}` : ''}`
    test(`${name}: what only reads is asked again`, async () => {
      await using started = await start({ client: { timeoutMs: 200 } })
      started.server.fault(fault)
      assert.equal((await started.api.backups(REF)).walg_enabled, true)
      assert.deepEqual(started.server.pendingFaults, [])
      assert.equal(started.server.requests.length, 2)
    })

    test(`${name}: what changes something is sent once`, async () => {
      await using started = await start({
        client: { timeoutMs: 200 },
        projects: [{ ref: REF, backups: { mode: 'pitr', days: 7, earliestUnix: 0, latestUnix: 100 } }],
      })
      const { server, api } = started
      server.fault(fault)
      const error = await failure(api.restorePitr(REF, 50))
      const code =
        'status' in fault
          ? 'supabase.failed'
          : fault.kind === 'half-open' || fault.kind === 'stalled-body'
            ? 'timeout'
            : 'supabase.unreachable'
      assert.equal(error.code, code)
      assert.equal(server.requests.length, 1)
    })
  }

  test('it gives up after three attempts', async () => {
    await using started = await start()
    started.server.fault({ kind: 'html', times: 5 })
    const error = await failure(started.api.backups(REF))
    assert.match(error.message, /502\): an HTML page titled "Bad gateway"/)
    assert.equal(started.server.requests.length, 3)
    assert.deepEqual(started.time.waits, [500, 1000])
  })

  test('slow is not dead', async () => {
    await using started = await start()
    started.server.fault({ kind: 'slow', delayMs: 50 })
    assert.equal((await started.api.backups(REF)).walg_enabled, true)
    assert.equal(started.server.requests.length, 1)
  })

  test('a login page with status 200, and JSON of another shape, are no answers', async () => {
    await using started = await start()
    started.server.fault({ kind: 'html', status: 200, title: 'Sign in' })
    const page = await failure(started.api.backups(REF))
    assert.equal(page.code, 'supabase.protocol')
    assert.match(page.message, /an HTML page/)
    started.server.fault({ kind: 'answer', status: 200, body: { region: 'x', walg_enabled: 'yes' } })
    const shape = await failure(started.api.backups(REF))
    assert.match(shape.message, /walg_enabled is of type string; true or false was expected/)
    started.server.fault({ kind: 'answer', status: 200, body: 'null' })
    assert.equal((await failure(started.api.backups(REF))).code, 'supabase.protocol')
  })

  test('nobody there', async () => {
    const { server, api } = await start()
    await server.close()
    const error = await failure(api.backups(REF))
    assert.equal(error.code, 'supabase.unreachable')
    assert.match(error.message, /ECONNREFUSED/)
  })

  test('an abort ends a request and a wait at once', async () => {
    await using started = await start()
    const { server, api } = started
    server.fault({ kind: 'half-open' })
    const asking = new AbortController()
    const asked = failure(api.backups(REF, { signal: asking.signal }))
    setTimeout(() => asking.abort(), 20)
    assert.equal((await asked).code, 'aborted')

    server.fault({ kind: 'rate-limit', resetSeconds: 60 })
    const patient = new SupabaseManagement({ token: server.token, url: server.url })
    const waiting = new AbortController()
    const waited = failure(patient.backups(REF, { signal: waiting.signal }))
    setTimeout(() => waiting.abort(), 20)
    assert.equal((await waited).code, 'aborted')
  })
})

describe('the token', () => {
  const token = `sbp_${'5ec2e7'.repeat(6)}beef`

  test('is in nothing that can be printed, whatever the other side does with it', async () => {
    await using started = await start({ tokens: { [token]: 'all' } })
    const { server } = started
    const api = new SupabaseManagement({ token, url: server.url, sleep: async () => {}, timeoutMs: 200 })
    const faults: readonly Fault[] = [
      { kind: 'answer', status: 400, body: { message: `bad header Bearer ${token}` }, times: 3 },
      { kind: 'html', status: 502, title: token, times: 3 },
      { kind: 'answer', status: 500, body: token, times: 3 },
      { kind: 'answer', status: 200, body: { region: token }, times: 3 },
      { kind: 'reset', times: 3 },
      { kind: 'half-open', times: 3 },
    ]
    for (const fault of faults) {
      server.clearFaults()
      server.fault(fault)
      const error = await failure(api.backups(REF))
      assert(!inspect(error, { depth: 9, showHidden: true }).includes(token), `${fault.kind}: ${error.message}`)
      assert(!JSON.stringify(error).includes(token))
    }
    assert(!inspect(api, { depth: 9, showHidden: true }).includes(token))
  })

  test('with a line break it is refused without being repeated', () => {
    for (const wrong of [`${token}\n${token}`, `${token} x`, '', `${token}ü`]) {
      assert.throws(
        () => new SupabaseManagement({ token: wrong }),
        (error: unknown) => isRetakeError(error, 'config.invalid') && !error.message.includes('5ec2e7'),
      )
    }
  })

  test('travels over TLS only, but for this machine', () => {
    for (const url of ['http://api.example.com', 'ftp://api.example.com', 'nothing', 'https://a:b@api.example.com']) {
      assert.throws(() => new SupabaseManagement({ token, url }), { code: 'config.invalid' })
    }
  })
})
