/** Supabase's own backups beside Retake's, through the real command line: a real cluster, and the test server in Supabase's place. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import type { HealthReport } from '../monitor/read-health.ts'
import { serverAccount } from '../postgres/server/account.ts'
import type { NativeState } from '../supabase/native/state.ts'
import type { TestBackups } from '../supabase/test-server/project.ts'
import { type ManagementTestServer, startManagementServer } from '../supabase/test-server/server.ts'
import { runCli } from './testing/run-cli.ts'

const REF = 'abcdefghijklmnopqrst'

const hoursAgo = (hours: number) => Math.floor(Date.now() / 1000) - hours * 3600
const daily = (): TestBackups => ({
  mode: 'daily',
  rows: [7, 31].map((hours) => ({
    id: 1000 - hours,
    is_physical_backup: true,
    status: 'COMPLETED',
    inserted_at: new Date(hoursAgo(hours) * 1000).toISOString(),
  })),
})
const pitr = (latestHours: number): TestBackups => ({
  mode: 'pitr',
  days: 7,
  earliestUnix: hoursAgo(144),
  latestUnix: hoursAgo(latestHours),
})

describe('native backups beside our own', () => {
  let server: TestServer
  let supabase: ManagementTestServer
  let temp: TempDirectory
  let own: Record<string, string>
  let env: Record<string, string>

  before(async () => {
    server = await startTestServer({ settings: {} })
    supabase = await startManagementServer({
      projects: [{ ref: REF, query: (sql) => server.query(sql) }],
    })
    temp = makeTemp({ label: 'native', owner: serverAccount() })
    own = {
      RETAKE_REPO: temp.join('repo'),
      RETAKE_KEY_FILE: temp.join('key'),
      RETAKE_DATABASE_URL: server.url,
      RETAKE_POSTGRES_BIN_DIR: server.binDir,
    }
    env = {
      ...own,
      RETAKE_SUPABASE_PROJECT: REF,
      RETAKE_SUPABASE_API_URL: supabase.url,
      SUPABASE_ACCESS_TOKEN: supabase.token,
    }
    assert.equal((await runCli(['init', '--new-key', 'key'], own, temp.path)).code, 0)
  })

  after(async () => {
    await supabase?.close()
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  type Shown = { native?: NativeState; backups?: unknown[]; windows?: unknown[]; reasons?: { code: string }[] }

  async function json<T = Shown>(args: readonly string[], more: Record<string, string> = {}) {
    const result = await runCli([...args, '--json'], { ...env, ...more }, temp.path)
    assert.ok(!`${result.stdout}${result.stderr}`.includes(supabase.token), 'the token is nowhere')
    return { code: result.code, ...result.json<T>() }
  }

  test('without a project nothing is asked and nothing is shown', async () => {
    const before = supabase.requests.length
    const result = await runCli(['backups', '--json'], { ...own, SUPABASE_ACCESS_TOKEN: supabase.token }, temp.path)
    assert.equal(result.code, 0, result.stderr)
    assert.equal(result.json<Shown>().native, undefined)
    assert.equal(supabase.requests.length, before)
  })

  test('daily backups stand beside an empty list of our own, and do not make it good', async () => {
    supabase.project(REF).backups = daily()
    const list = await json(['backups'])
    assert.deepEqual([list.code, list.backups, list.native?.mode, list.native?.backups.length], [0, [], 'daily', 2])
    const text = await runCli(['backups'], env, temp.path)
    assert.match(text.stdout, /Retake's own:\n\nNo backup of "main" yet/)
    assert.match(
      text.stdout,
      /Supabase's own \(cinetrack, abcdefghijklmnopqrst\):\n\nBACKUP +KIND +MADE +STATUS\n969 +physical/,
    )
    assert.match(text.stdout, /Physical ones cannot be downloaded/)

    const status = await json(['status'])
    assert.equal(status.code, 40, 'our own backup is missing all the same')
    assert.ok(status.reasons?.some(({ code }) => code === 'backup.none'))
    assert.ok(!status.reasons?.some(({ code }) => code.startsWith('native')))

    const health = await json<HealthReport>(['health'])
    const check = health.checks.find(({ name }) => name === 'native-backups')
    assert.equal(check?.state, 'passed', check?.finding)
    assert.match(check?.finding ?? '', /only Supabase can restore this project/)
    assert.equal(health.score.value, 0, 'nothing of ours can be restored, whatever Supabase holds')
    assert.equal(health.score.caps[0]?.name, 'no-restorable-backup')
  })

  test('point-in-time recovery: the window, a lag that the real server explains, and metrics', async () => {
    supabase.project(REF).backups = pitr(0)
    const { code, native, windows } = await json(['window'])
    assert.deepEqual([code, windows, native?.window?.granularity, native?.retentionDays], [0, [], 'second', 7])
    assert.match((await runCli(['window'], env, temp.path)).stdout, /every second/)
    const metrics = await runCli(['metrics'], env, temp.path)
    assert.match(metrics.stdout, /^retake_native_pitr\{cluster="main"\} 1$/m)
    assert.match(metrics.stdout, /^retake_native_up\{cluster="main"\} 1$/m)

    // This server archives nothing, so nobody can say that it was idle.
    supabase.project(REF).backups = pitr(24)
    const lagging = await json(['window'])
    assert.equal(lagging.native?.lag?.kind, 'unknown')
    const health = await json<HealthReport>(['health'])
    assert.equal(health.checks.find(({ name }) => name === 'native-backups')?.state, 'unknown')
  })

  test('who cannot be asked is unknown with the reason, and costs no exit status', async () => {
    supabase.project(REF).backups = daily()
    const wrong = await json(['backups'], { RETAKE_SUPABASE_TOKEN: `sbp_${'f'.repeat(40)}` })
    assert.deepEqual([wrong.code, wrong.native?.mode, wrong.native?.code], [0, 'unknown', 'supabase.denied'])

    const none = await json(['backups'], { SUPABASE_ACCESS_TOKEN: '' })
    assert.deepEqual([none.code, none.native?.code], [0, 'supabase.denied'])
    assert.match(none.native?.fix ?? '', /RETAKE_SUPABASE_TOKEN/)

    const away = await json(['status'], { RETAKE_SUPABASE_API_URL: 'http://127.0.0.1:1' })
    assert.ok(away.reasons?.some(({ code }) => code === 'native.unknown'))
    assert.equal(away.native?.code, 'supabase.unreachable')

    supabase.project(REF).status = 'INACTIVE'
    const paused = await json(['status'])
    supabase.project(REF).status = 'ACTIVE_HEALTHY'
    assert.ok(paused.reasons?.some(({ code }) => code === 'native.failed'))
  })

  test('a command gives the token; one that fails is named, and the project is checked', async () => {
    const command = { SUPABASE_ACCESS_TOKEN: '', RETAKE_SUPABASE_TOKEN_COMMAND: `echo ${supabase.token}` }
    assert.equal((await json(['backups'], command)).native?.mode, 'daily')
    const failing = await json(['backups'], { ...command, RETAKE_SUPABASE_TOKEN_COMMAND: 'false' })
    assert.match(failing.native?.reason ?? '', /The management token command gave no management token/)
    const refused = await json<{ error: { code: string } }>(['backups'], { RETAKE_SUPABASE_PROJECT: 'not-a-reference' })
    assert.deepEqual([refused.code, refused.error.code], [2, 'config.invalid'])
  })
})
