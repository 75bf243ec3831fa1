/** A native restore through the real command line, in front of the test server: planned, confirmed, killed, followed to its end. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { after, before, beforeEach, describe, test } from 'node:test'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import type { NativeRestoreReport } from '../engine/native/restore.ts'
import type { NativeRestorePlan } from '../supabase/management/native-restore.ts'
import { type ManagementTestServer, startManagementServer } from '../supabase/test-server/server.ts'
import { runCli, startCli } from './testing/run-cli.ts'

const REF = 'abcdefghijklmnopqrst'
const RESTORE_MS = 3_000

interface Output {
  readonly plan?: NativeRestorePlan
  readonly report?: NativeRestoreReport
  readonly dryRun?: boolean
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
}

describe('retake native', () => {
  let supabase: ManagementTestServer
  let temp: TempDirectory
  let env: Record<string, string>

  before(async () => {
    supabase = await startManagementServer()
  })
  after(() => supabase?.close())

  beforeEach(async (t) => {
    const now = Math.floor(Date.now() / 1000)
    const backups = { mode: 'pitr', days: 7, earliestUnix: now - 600_000, latestUnix: now - 60 } as const
    supabase.addProject({ ref: REF, backups, restoreMs: RESTORE_MS })
    temp = makeTemp({ label: 'native-cli' })
    env = {
      RETAKE_SUPABASE_PROJECT: REF,
      RETAKE_SUPABASE_API_URL: supabase.url,
      RETAKE_SUPABASE_TOKEN: supabase.token,
      HOME: temp.path,
    }
    assert.ok('after' in t)
    t.after(() => temp[Symbol.asyncDispose]())
  })

  const at = (minutesAgo: number) => new Date(Date.now() - minutesAgo * 60_000).toISOString()

  async function json(code: number, ...args: string[]): Promise<Output> {
    const result = await runCli(['native', ...args, '--json', '--no-input'], env, temp.path)
    assert.equal(result.code, code, `${result.stdout}${result.stderr}`)
    assert.ok(!`${result.stdout}${result.stderr}`.includes(supabase.token), 'the token is nowhere')
    return result.json<Output>()
  }

  const apply = ['native', 'apply', 'plan.json', '--poll', '1', '--no-input', '--json']

  test('plan says what is overwritten, what is lost, and what to do before and afterwards', async () => {
    const { code, stdout, stderr } = await runCli(
      ['native', 'plan', '--at', at(30), '--out', 'plan.json'],
      env,
      temp.path,
    )
    assert.equal(code, 0, stderr)
    assert.match(stdout, /cinetrack \(abcdefghijklmnopqrst\) of cinetrack-org: OVERWRITTEN IN PLACE/)
    assert.match(stdout, /lost +everything committed after it: 30 min/)
    assert.match(stdout, /It is down until the restore has ended, and there is no way back/)
    assert.match(stdout, /pg_drop_replication_slot\('retake_main'\)/)
    assert.match(stdout, /retake init .*anew\n +retake backup --type full/)
    assert.match(stdout, /Carry it out within 15 minutes: retake native apply .*plan\.json/)
    const checked = await json(0, 'apply', 'plan.json', '--dry-run')
    assert.equal(checked.dryRun, true)
    assert.deepEqual(supabase.project(REF).restores, [])
    assert.deepEqual(await readdir(temp.path), ['plan.json'])
  })

  test('plan refuses what Supabase cannot do, each with its own exit status', async () => {
    assert.equal((await json(20, 'plan', '--at', at(0))).error?.code, 'target.outside')
    assert.equal((await json(2, 'plan', '--at', 'lsn:0/3000060')).error?.code, 'target.invalid')
    assert.equal((await json(2, 'plan')).error?.code, 'config.invalid')
    supabase.project(REF).status = 'INACTIVE'
    assert.equal((await json(22, 'plan', '--at', at(30))).error?.code, 'restore.refused')
    supabase.project(REF).status = 'ACTIVE_HEALTHY'
    supabase.project(REF).backups = { mode: 'none' }
    assert.equal((await json(22, 'plan', '--at', at(30))).error?.code, 'restore.refused')
    env = { ...env, RETAKE_SUPABASE_TOKEN: `sbp_${'f'.repeat(40)}` }
    assert.equal((await json(12, 'plan', '--at', at(30))).error?.code, 'supabase.denied')
  })

  test('apply asks for the reference of the project, and orders nothing without it', async () => {
    await json(0, 'plan', '--at', at(30), '--out', 'plan.json')
    assert.equal((await json(23, 'apply', 'plan.json')).error?.code, 'confirmation.missing')
    assert.equal((await json(23, 'apply', 'plan.json', '--confirm', 'cinetrack')).error?.code, 'confirmation.missing')
    assert.equal((await json(2, 'apply', 'nothing.json')).error?.code, 'config.invalid')
    assert.deepEqual(supabase.project(REF).restores, [])
  })

  test('killed in the middle of following, it is followed again by the same command, and was ordered once', async () => {
    const { plan } = await json(0, 'plan', '--at', at(30), '--out', 'plan.json')
    const first = startCli([...apply, '--confirm', REF], env, temp.path)
    await first.said('RESTORING')
    first.child.kill('SIGKILL')
    assert.equal((await first.ended).code, null)
    const again = await json(0, 'apply', 'plan.json', '--poll', '1')
    assert.deepEqual([again.report?.resumed, again.report?.target], [true, plan?.target])
    assert.deepEqual(supabase.project(REF).restores, [plan?.targetUnix])
    // The plan is used up.
    assert.equal((await json(22, 'apply', 'plan.json', '--confirm', REF)).error?.code, 'plan.stale')
    assert.equal(supabase.project(REF).restores.length, 1)
  })

  test('stopped by Ctrl-C, it says that the restore goes on, and how to follow it', async () => {
    await json(0, 'plan', '--at', at(30), '--out', 'plan.json')
    const running = startCli([...apply, '--confirm', REF], env, temp.path)
    await running.said('RESTORING')
    running.child.kill('SIGINT')
    const ended = await running.ended
    assert.equal(ended.code, 130, ended.stderr)
    assert.match(ended.json<Output>().error?.hint ?? '', /retake native apply .*plan\.json/)
    const text = await runCli(['native', 'apply', 'plan.json', '--poll', '1'], env, temp.path)
    assert.equal(text.code, 0, text.stderr)
    assert.match(text.stdout, /restored +abcdefghijklmnopqrst, in place, to /)
    assert.match(text.stdout, /by an earlier run/)
    assert.match(text.stdout, /retake init .*\n +retake backup --type full/)
  })
})
