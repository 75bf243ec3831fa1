/**
 * A bad week of CineTrack beside `retake serve`, with what really goes wrong: connections that are cut, nights without a server, a dropped
 * table, a dropped slot, a repository that is gone, a database that is down. At each step the score is what the formula gives by hand, and
 * the alert is told once by mail and to a webhook, goes to the next level (another one), is acknowledged on the command line, and resolves.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '../../src/client.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { runCli } from '../support/cli.ts'
import { type Endpoint, openEndpoint } from '../support/notices/endpoint.ts'
import { type MailServer, openMailServer } from '../support/notices/mail-server.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { type ServeProcess, type ServeStage, stageServe, waitFor } from '../support/serve.ts'

const EACH_MINUTE = '[{ name: nightly, task: backup, cron: "* * * * *", graceMinutes: 0 }]'
const MINUTE_MS = 60_000
const STEP_LIMIT_MS = 180_000

interface Week {
  readonly server: TestServer
  readonly mail: MailServer
  readonly hook: Endpoint
  readonly stage: ServeStage
  serve: ServeProcess
  cutting?: { readonly stop: AbortController; readonly done: Promise<void> }
}

interface Trouble {
  readonly rule: string
  readonly begin: (week: Week) => Promise<unknown>
  /** By hand: what each item loses beside what is lost all week, and the cap that binds. */
  readonly lost: Readonly<Record<string, number>>
  readonly cap?: number
  readonly end: (week: Week) => Promise<unknown>
}

/** Nothing rehearses a recovery (30 and 10 points, 9 of them for a verification of every byte), there is one copy and no kit. */
const LOST_ALL_WEEK = { proof: 21, rto: 10, copies: 4, 'key-escrow': 3, 'alert-path': 5 }

const troubles: readonly Trouble[] = [
  {
    rule: 'backup-failed',
    begin: async (week) => cutBackups(week),
    lost: {},
    end: stopCutting,
  },
  {
    rule: 'schedule-missed',
    begin: async (week) => {
      await killServe(week)
      await sleep(2 * MINUTE_MS)
      // The backup that is caught up on waits for a checkpoint, so that the nights without one can be seen.
      process.kill(await checkpointer(week.server), 'SIGSTOP')
      week.serve = await week.stage.serve()
    },
    lost: {},
    end: async ({ server }) => process.kill(await checkpointer(server), 'SIGCONT'),
  },
  {
    rule: 'critical-table-missing',
    begin: async (week) => {
      await killServe(week)
      setSchedules(week.stage, '[]')
      week.serve = await week.stage.serve()
      await week.server.query('alter table public.reviews rename to reviews_of_yesterday')
    },
    lost: { 'critical-tables': 3 },
    cap: 69,
    end: ({ server }) => server.query('alter table public.reviews_of_yesterday rename to reviews'),
  },
  {
    rule: 'slot-lost',
    begin: async ({ server }) => takeAllSlots(server),
    lost: { 'pitr-availability': 7 },
    cap: 40,
    end: async ({ server }) => {
      await server.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'other%'`,
      )
    },
  },
  {
    rule: 'repository-unreachable',
    begin: async ({ stage }) => renameSync(stage.repository, `${stage.repository}.gone`),
    lost: {
      proof: 30,
      exposure: 10,
      recency: 8,
      'pitr-availability': 7,
      'success-rate': 8,
      'recoverable-minutes': 5,
      'completion-time': 2,
      'retention-adequacy': 3,
    },
    cap: 30,
    end: async ({ stage }) => {
      rmSync(stage.repository, { recursive: true, force: true })
      renameSync(`${stage.repository}.gone`, stage.repository)
    },
  },
  {
    rule: 'database-unreachable',
    begin: ({ server }) => server.kill(),
    lost: { exposure: 10, 'pitr-availability': 7, 'critical-tables': 3, configuration: 2 },
    cap: 40,
    end: ({ server }) => server.restart(),
  },
]

export async function runBadWeek({ major, say }: { readonly major: number; readonly say: (line: string) => void }) {
  await using server = await startTestServer({ major })
  await installCineTrack({ target: server.target, scale: 0.02 })
  await using mail = await openMailServer()
  await using hook = await openEndpoint()
  await using stage = await stageServe({ server, schedules: EACH_MINUTE, ...told({ mail, hook }) })
  const week: Week = { server, mail, hook, stage, serve: await stage.serve() }
  const problems: string[] = []
  await waitFor(async () => (await api(week).listRuns({ state: 'succeeded' })).items.length > 0, {
    what: () => week.serve.log(),
    limitMs: STEP_LIMIT_MS,
  })
  await runCli(['--config', stage.file, 'verify', '--deep'], { cwd: stage.temp.path })
  problems.push(...(await expectScore(week, { what: 'all is well', lost: {} })))
  say('week: all is well')
  for (const trouble of troubles) {
    const found = await goThrough(week, trouble).catch(async (error: Error) => {
      await trouble.end(week)
      return [error.message]
    })
    problems.push(...found)
    say(`week: ${trouble.rule}: ${found.length === 0 ? 'as it should be' : found.join('; ')}`)
  }
  const notices = () => hook.requests.filter(({ path }) => path === '/desk').length
  await waitFor(() => mail.mails.length === notices(), {
    what: () => `a mail for each notice: ${mail.mails.length} of ${notices()}`,
  }).catch((error: Error) => problems.push(error.message))
  await week.serve.stop()
  return problems
}

async function goThrough(week: Week, { rule, begin, lost, cap, end }: Trouble): Promise<string[]> {
  const problems: string[] = []
  await waitFor(async () => !(await isOpen(week, rule)), {
    what: () => `the end of an earlier ${rule}: ${week.serve.log()}`,
    limitMs: STEP_LIMIT_MS,
  })
  const asked = { rule, since: week.hook.requests.length }
  await begin(week)
  await seen(week, asked, 'fired')
  await seen(week, asked, 'escalated')
  problems.push(...(await expectScore(week, { what: rule, lost, cap })))
  const [alert] = (await api(week).listAlerts({ state: 'firing' })).items.filter((one) => one.rule === rule)
  if (!alert) return [...problems, `${rule} does not fire`]
  const way = ['--server', address(week), '--server-token-file', week.stage.temp.join('data/token')]
  const acknowledged = await runCli(['alerts', 'ack', alert.key, '--by', 'ada', ...way])
  if (acknowledged.code !== 0) problems.push(`not acknowledged: ${acknowledged.stderr}`)
  await end(week)
  await seen(week, asked, 'resolved')
  problems.push(...(await expectScore(week, { what: `${rule} is over`, lost: {} })))
  const [desk, pager] = [kindsOf(week, { ...asked, path: '/desk' }), kindsOf(week, { ...asked, path: '/pager' })]
  if (desk.join() !== 'fired,acknowledged,resolved') problems.push(`those on duty were told ${desk.join()}`)
  if (pager.join() !== 'escalated,acknowledged,resolved') problems.push(`the next level was told ${pager.join()}`)
  return problems
}

/** What one trouble causes besides, another one is about. */
async function isOpen(week: Week, rule: string): Promise<boolean> {
  const { items } = await api(week).listAlerts({ limit: 100 })
  return items.some((alert) => alert.rule === rule && !['pending', 'resolved', 'withdrawn'].includes(alert.state))
}

interface Expected {
  readonly what: string
  readonly lost: Readonly<Record<string, number>>
  readonly cap?: number | undefined
}

/** The score as it comes to be, compared with what the formula gives by hand. */
async function expectScore(week: Week, { what, lost, cap = 100 }: Expected): Promise<string[]> {
  let seen = ''
  const isRight = async () => {
    const { score, headline } = await api(week).getHealth({ cluster: 'main' })
    // Half for the first backup that did not come, all for the second.
    const late = { 'success-rate': Math.min(8, 4 * headline.runs.missed) }
    const share = headline.recoverable.share
    const minutes = {
      'recoverable-minutes': share === undefined ? 5 : 5 * Math.min(1, Math.max(0, (1 - share) / 0.001 - 1)),
    }
    const expected = { ...LOST_ALL_WEEK, ...late, ...minutes, ...lost }
    const points = 100 - Object.values(expected).reduce((sum, one) => sum + one, 0)
    const value = Math.floor(Math.min(points, cap, 60))
    seen = `${score.value} instead of ${value}; lost ${JSON.stringify(score.lost.map(({ item, points: p }) => [item, p]))}; caps ${JSON.stringify(score.caps.map(({ name }) => name))}`
    return score.value === value
  }
  try {
    await waitFor(isRight, { what: () => what, limitMs: STEP_LIMIT_MS / 6, everyMs: 500 })
    return []
  } catch {
    return [`the score when ${what} is ${seen}`]
  }
}

interface HookBody {
  readonly data: { readonly notice: { readonly kind: string; readonly alerts: readonly { readonly rule: string }[] } }
}

/** The kinds of notices about a rule that arrived at `path` since the beginning of a trouble, in their order. */
const kindsOf = ({ hook }: Week, { rule, path, since }: Asked & { readonly path: '/desk' | '/pager' }) =>
  hook.requests
    .slice(since)
    .filter((request) => request.path === path)
    .map(({ body }) => (JSON.parse(body) as HookBody).data.notice)
    .filter(({ alerts }) => alerts.some((alert) => alert.rule === rule))
    .map(({ kind }) => kind)

interface Asked {
  readonly rule: string
  /** How much had arrived before. */
  readonly since: number
}

async function seen(week: Week, asked: Asked, kind: 'fired' | 'escalated' | 'resolved'): Promise<void> {
  const path = kind === 'escalated' ? '/pager' : '/desk'
  await waitFor(() => kindsOf(week, { ...asked, path }).includes(kind), {
    what: () => `${asked.rule} ${kind}: ${kindsOf(week, { ...asked, path })} ${week.serve.log()}`,
    limitMs: STEP_LIMIT_MS,
  })
}

function told({ mail, hook }: Pick<Week, 'mail' | 'hook'>) {
  const rules = troubles.map(({ rule }) => `${rule}: { severity: critical, forMinutes: 0, keepFiringMinutes: 0 }`)
  return {
    serverFile: `channels:
  - { kind: email, name: team, server: smtp://127.0.0.1:${mail.port}, tls: none, from: retake@example.org, to: [dba@example.org] }
  - { kind: webhook, name: desk, url: { command: cat desk }, secret: { command: cat secret } }
  - { kind: webhook, name: pager, url: { command: cat pager }, secret: { command: cat secret } }
alerts:
  groupWaitSeconds: 0
  levels: [{ channels: [team, desk] }, { channels: [pager], afterMinutes: 0.1 }]
  rules: { ${rules.join(', ')} }
`,
    files: {
      desk: `${hook.url}/desk`,
      pager: `${hook.url}/pager`,
      secret: `whsec_${Buffer.alloc(24, 'retake').toString('base64')}`,
    },
  }
}

const address = ({ serve }: Week) => /ready at (http:\S+?)\.["\s]/.exec(serve.log())?.[1] ?? ''

function api(week: Week): Client {
  return createClient({
    url: address(week),
    token: readFileSync(week.stage.temp.join('data/token'), 'utf8').trim(),
  })
}

async function killServe({ serve }: Week): Promise<void> {
  serve.run.kill()
  await serve.run.ended
}

function setSchedules({ file }: ServeStage, schedules: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^schedules: .*$/m, `schedules: ${schedules}`))
}

/** The session of a backup loses its connection, again and again, until this is stopped. */
function cutBackups(week: Week): void {
  const stop = new AbortController()
  week.cutting = { stop, done: cutUntil(week.server, stop.signal) }
}

async function cutUntil(server: TestServer, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'retake backup' and backend_start < clock_timestamp() - interval '0.3 s'`,
    )
    await sleep(100)
  }
}

async function stopCutting({ cutting }: Week): Promise<void> {
  cutting?.stop.abort()
  await cutting?.done
}

async function checkpointer(server: TestServer): Promise<number> {
  const [row] = await server.query<{ pid: number }>(
    `select pid from pg_stat_activity where backend_type = 'checkpointer'`,
  )
  if (!row) throw new Error('there is no checkpointer')
  return row.pid
}

/** The slot is dropped, and so many others are made that there is no room for a new one. */
async function takeAllSlots(server: TestServer): Promise<void> {
  await server.query(`do $$ begin
    for attempt in 1..200 loop
      perform pg_terminate_backend(active_pid) from pg_replication_slots where active;
      begin
        perform pg_drop_replication_slot(slot_name) from pg_replication_slots;
        perform pg_create_physical_replication_slot('other_' || n)
          from generate_series(1, current_setting('max_replication_slots')::int) as n;
        return;
      exception when object_in_use or configuration_limit_exceeded then perform pg_sleep(0.02);
      end;
    end loop;
    raise 'the slot is in use again and again';
  end $$`)
}
