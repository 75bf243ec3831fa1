/** A real backup, verification and pruning, seen as the runs that were due; and the same time without them. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import type { Clock } from '../base/clock.ts'
import { timeOrderedId } from '../base/ids.ts'
import { runCli } from '../cli/testing/run-cli.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { acquireLease } from '../repository/lease.ts'
import { beginRun } from '../repository/runs.ts'
import type { ScheduleConfig } from '../schedules/schedule.ts'
import { backUp } from './backup.ts'
import { initialise } from './initialise.ts'
import { openRetake, type Retake, type RetakeOptions } from './open.ts'
import { prune } from './prune.ts'
import { readSchedules, type SchedulesReport } from './schedules.ts'
import { verify } from './verify.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

describe('schedules and what became of them', () => {
  let server: TestServer
  let temp: TempDirectory
  let options: RetakeOptions
  let env: Record<string, string>
  let backupId: string
  let beganMs: number

  before(async () => {
    server = await startTestServer()
    temp = makeTemp({ label: 'schedules', owner: serverAccount() })
    const key = formatKeyText(generateKey().bytes)
    options = { repo: temp.join('repo'), key, databaseUrl: server.url, postgresBinDirectory: server.binDir }
    env = { RETAKE_REPO: temp.join('repo'), RETAKE_KEY: key, RETAKE_DATABASE_URL: server.url }
    // Registered for a while when the backup is due.
    await initialise({ ...options, clock: at(-120 * MINUTE_MS) })
    await using retake = await openRetake(options)
    backupId = (await backUp(retake, { type: 'full' }).result).backup.backupId
    beganMs = Date.parse(backupId.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z'))
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  /** Due daily in the minute in which the backup began. */
  function daily(more: Partial<ScheduleConfig> = {}): ScheduleConfig {
    const due = new Date(beganMs)
    return { name: 'daily', task: 'backup', cron: `${due.getUTCMinutes()} ${due.getUTCHours()} * * *`, ...more }
  }

  const at = (laterMs: number): Clock => ({
    now: () => new Date(Date.now() + laterMs),
    monotonicMs: () => performance.now(),
  })

  async function look(schedules: ScheduleConfig[], laterMs = 0, act?: (retake: Retake) => Promise<unknown>) {
    await using retake = await openRetake({ ...options, schedules, clock: at(laterMs) })
    await act?.(retake)
    return await readSchedules(retake)
  }

  const outcomes = ({ schedules }: SchedulesReport) => schedules.map(({ runs }) => runs.map(({ outcome }) => outcome))

  test('a real backup is the run that was due; a full one is an incremental one as well', async () => {
    const report = await look([daily(), daily({ name: 'full', type: 'full' })])
    assert.deepEqual(outcomes(report), [['succeeded'], ['succeeded']])
    const last = report.schedules[0]?.last
    assert.deepEqual([last?.runId, last?.beganLate], [backupId, false])
    assert.equal(Date.parse(last?.beganAt ?? ''), beganMs)
    assert.equal(report.verdict, 'ok')
    assert.equal(report.schedules[0]?.next.length, 5)
  })

  test('the next day nothing came: late, then missed; long afterwards it is not known any more', async () => {
    const late = await look([daily()], DAY_MS + 120 * MINUTE_MS)
    assert.deepEqual([outcomes(late), late.verdict], [[['succeeded', 'late']], 'missed'])
    const missed = await look([daily()], 2 * DAY_MS + 10 * MINUTE_MS)
    assert.deepEqual(outcomes(missed), [['succeeded', 'missed', 'due']])
    assert.equal(missed.verdict, 'missed')
    const long = await look([daily()], 12 * DAY_MS + 120 * MINUTE_MS)
    assert.deepEqual(outcomes(long)[0]?.slice(0, 3), ['succeeded', 'unknown', 'unknown'])
    assert.equal(long.verdict, 'missed')
  })

  test('a run that began and left nothing failed, and is running while somebody holds the lease', async () => {
    const begun = timeOrderedId(new Date(Date.now() + DAY_MS))
    await using retake = await openRetake({ ...options, schedules: [daily()], clock: at(DAY_MS + 30 * MINUTE_MS) })
    const cluster = await retake.cluster()
    await beginRun(cluster, begun)
    const failed = await readSchedules(retake)
    assert.deepEqual([outcomes(failed), failed.verdict], [[['succeeded', 'failed']], 'missed'])
    assert.equal(failed.schedules[0]?.settled?.runId, begun)
    await using _lease = await acquireLease(cluster, { role: 'backup', holder: 'retake backup', clock: retake.clock })
    const running = await readSchedules(retake)
    assert.deepEqual([outcomes(running), running.verdict], [[['succeeded', 'running']], 'ok'])
  })

  test('a verification is found by its notes, and its absence is missed', async () => {
    const schedules = [daily({ name: 'verify', task: 'verify' })]
    const before = await look(schedules, 120 * MINUTE_MS)
    assert.deepEqual([outcomes(before), before.verdict], [[['late']], 'missed'])
    const done = await look(schedules, 0, (retake) => verify(retake).result)
    assert.deepEqual([outcomes(done), done.verdict], [[['succeeded']], 'ok'])
    const deep = await look([daily({ name: 'verify', task: 'verify', deep: true })], 120 * MINUTE_MS)
    assert.deepEqual(
      [outcomes(deep), deep.verdict],
      [[['unknown']], 'unknown'],
      'the note of a deep one may have been replaced',
    )
  })

  test('a pruning: nothing to do is in order; what a run would have given up, and is there, says that none came', async () => {
    const schedules = [daily({ name: 'prune', task: 'prune' })]
    assert.deepEqual(outcomes(await look(schedules, 120 * MINUTE_MS)), [['idle']])
    await using retake = await openRetake(options)
    // The newest, and the newest verified, are kept by any policy.
    await backUp(retake).result
    await verify(retake).result
    const later = 9 * DAY_MS + 120 * MINUTE_MS
    const overdue = await look(schedules, later)
    assert.deepEqual([overdue.schedules[0]?.settled?.outcome, overdue.verdict], ['late', 'missed'])
    const pruned = await look(schedules, later, (other) => prune(other).result)
    assert.deepEqual([pruned.schedules[0]?.settled?.outcome, pruned.verdict], ['succeeded', 'ok'])
  })

  test('proposed ones that a server keeps are judged since then; of what was due before, nothing is missed', async () => {
    const report = async (laterMs: number, keptSince?: ReadonlyMap<string, Date>) => {
      await using retake = await openRetake({ ...options, clock: at(laterMs) })
      return readSchedules(retake, { keptSince, next: 1 })
    }
    const names = ['backup', 'full', 'verify', 'prune', 'drill', 'deep-drill']
    const kept = (ms: number) => new Map(names.map((name) => [name, new Date(Date.now() + ms)] as const))
    const alone = await report(9 * DAY_MS)
    assert.deepEqual([alone.configured, alone.verdict], [false, 'ok'])
    const fresh = await report(9 * DAY_MS, kept(9 * DAY_MS))
    assert.deepEqual([fresh.configured, fresh.verdict, outcomes(fresh)], [false, 'ok', [[], [], [], [], [], []]])
    assert.equal(fresh.schedules[0]?.keptSince, new Date(Date.parse(fresh.schedules[0]?.keptSince ?? '')).toISOString())
    const forgotten = await report(9 * DAY_MS, kept(6 * DAY_MS))
    assert.equal(forgotten.verdict, 'missed')
    const verify = forgotten.schedules.find(({ name }) => name === 'verify')
    assert.ok(verify && verify.runs.length >= 2 && verify.runs.length <= 4, JSON.stringify(verify?.runs))
    assert.ok(verify.runs.every(({ at: due }) => due >= (verify.keptSince ?? '~')))
  })

  test('the command: outcomes and the next runs with exit status, proposals, units', async () => {
    const bare = await runCli(['schedules'], env, temp.path)
    assert.equal(bare.code, 0, bare.stderr)
    assert.match(
      bare.stdout,
      /no schedules are configured[\s\S]*backup +backup incremental +on Monday to Saturday at 02:00, UTC/,
    )
    assert.doesNotMatch(bare.stdout, /OUTCOME/)
    const config = [
      daily({ zone: 'UTC' }),
      daily({ name: 'old', task: 'backup', zone: 'Asia/Kolkata', cron: '0 2 * * *', since: '2026-01-01T00:00:00Z' }),
    ]
    await writeFile(temp.join('retake.config.json'), JSON.stringify({ schedules: config.slice(0, 1) }))
    const good = await runCli(['schedules', '--next', '3'], env, temp.path)
    assert.equal(good.code, 0, good.stdout)
    assert.match(good.stdout, /^main: on schedule\n/)
    assert.match(good.stdout, /succeeded \(\d{8}T\d{6}Z-[0-9a-f]{8}, /)
    assert.equal(good.stdout.match(/^ {2}\d{4}-/gm)?.length, 3)
    const json = (await runCli(['schedules', '--json'], env, temp.path)).json<
      SchedulesReport & { schemaVersion: number }
    >()
    assert.deepEqual([json.schemaVersion, json.verdict, json.configured], [1, 'ok', true])

    await writeFile(temp.join('retake.config.json'), JSON.stringify({ schedules: config }))
    const printed = await runCli(['schedules', '--systemd', '--out', '.', '--repo', temp.join('repo')], env, temp.path)
    assert.equal(printed.code, 0, printed.stderr)
    assert.match(printed.stderr, /RETAKE_DATABASE_URL/, 'what the service will lack is said')
    assert.ok(!printed.stderr.includes(env.RETAKE_KEY ?? '?') && !printed.stdout.includes(env.RETAKE_KEY ?? '?'))
    const units = (await readdir(temp.path)).filter((name) => /\.(service|timer)$/.test(name))
    assert.equal(units.length, 4)
    assert.match(
      await readFile(temp.join('retake-main-old.timer'), 'utf8'),
      /^OnCalendar=\*-\*-\* 02:00:00 Asia\/Kolkata$/m,
    )
    const line = /^ExecStart=(.+)$/m.exec(await readFile(temp.join('retake-main-daily.service'), 'utf8'))?.[1] ?? ''
    assert.ok(line.includes(`--config ${temp.join('retake.config.json')}`), line)
    assert.ok(line.includes(`--repo ${temp.join('repo')} --cluster main`), line)
    const refused = await runCli(['schedules', '--systemd'], {
      RETAKE_SCHEDULES: JSON.stringify([daily({ blackouts: [{ cron: '0 8 * * *', minutes: 5 }] })]),
    })
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /blackouts/)
  })
})
