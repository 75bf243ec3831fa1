/**
 * Kills servers in the middle of a scheduled backup: with one restarted, or with a second one that was there. The backup is made
 * once, whatever was on record at the moment of death, and can be restored.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from '../support/cli.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { hasObject, type ServeProcess, type ServeStage, stageServe, waitFor } from '../support/serve.ts'

/** When the server is killed: as soon as this is so. */
export const deaths = {
  'asked for': async (stage: ServeStage) => (await runs(stage)).length > 0,
  begun: async (stage: ServeStage) => (await runs(stage)).some(({ state }) => state === 'running'),
  'on record in the repository': async ({ repository }: ServeStage) =>
    hasObject(`${repository}/clusters/main/runs`, /\.begun$/),
  'first pack': async ({ repository }: ServeStage) => hasObject(`${repository}/packs`, /[0-9a-f]{8}/),
  'backup committed': async ({ repository }: ServeStage) => hasObject(`${repository}/clusters/main/backups`, /Z-/),
  'receipt of the backup': async ({ repository }: ServeStage) =>
    hasObject(`${repository}/clusters/main/runs`, /\.done$/),
  succeeded: async (stage: ServeStage) => (await runs(stage)).some(({ state }) => state === 'succeeded'),
} as const

export type Death = keyof typeof deaths

interface RunRow {
  readonly id: string
  readonly state: string
  readonly attempts: number
}

const runs = (stage: ServeStage) =>
  stage.query<RunRow>(`select id, state, attempts from retake.run where task = 'backup'`).catch(() => [])

export interface ServeKillOptions {
  readonly server: TestServer
  readonly control: TestServer
  readonly death: Death
  /** `restart`: the killed one comes back. `second`: another one was there, and the killed one never returns. */
  readonly rescue: 'restart' | 'second'
}

export interface ServeKillOutcome {
  readonly problems: readonly string[]
  /** The state of the run when the server was killed. */
  readonly stateAtDeath: string
  readonly attempts: number
}

/** Due in the minute of the beginning, and not again for as long as this takes. */
function dueNow(now: Date): string {
  return `[{ name: backup, task: backup, cron: "${now.getUTCMinutes()} ${now.getUTCHours()} * * *" }]`
}

export async function killServer({ server, control, death, rescue }: ServeKillOptions): Promise<ServeKillOutcome> {
  // What is due in a minute that is nearly over would count as old before the server has started.
  if (new Date().getUTCSeconds() > 40) await sleep((60 - new Date().getUTCSeconds()) * 1_000)
  await using stage = await stageServe({ server, control, schedules: dueNow(new Date()) })
  const first = stage.serve()
  const servers = await Promise.all(rescue === 'second' ? [first, stage.serve()] : [first])
  await waitFor(async () => deaths[death](stage), { what: () => `${death}: ${servers[0]?.log()}`, everyMs: 2 })
  const victim = await whoWorks(stage, servers)
  victim.run.kill()
  const stateAtDeath = (await runs(stage))[0]?.state ?? 'none'
  await victim.run.ended
  const rescuer = servers.find((one) => one !== victim) ?? (await stage.serve())
  await waitFor(async () => (await runs(stage)).some(({ state }) => state === 'succeeded' || state === 'failed'), {
    what: () => `the end of the backup after "${death}": ${rescuer.log()}`,
    limitMs: 120_000,
  })
  const rows = await runs(stage)
  const code = await rescuer.stop()
  return {
    stateAtDeath,
    attempts: rows[0]?.attempts ?? 0,
    problems: [
      ...(rows.length === 1 && rows[0]?.state === 'succeeded' ? [] : [`runs: ${JSON.stringify(rows)}`]),
      ...(code === 0 ? [] : [`the rescuer ended with ${code}: ${rescuer.log()}`]),
      ...(await problemsOfBackups(stage, rows[0]?.id)),
    ],
  }
}

/** The server that does the backup; before and after it, the one that looks after the cluster. */
async function whoWorks(stage: ServeStage, servers: readonly ServeProcess[]): Promise<ServeProcess> {
  const [row] = await stage.query<{ pid: number }>(
    `select (identity->>'pid')::int as pid from retake.server where id = coalesce(
       (select executor_id from retake_workflows.workflow_status where status = 'PENDING' limit 1),
       (select server from retake.lease where name = 'main'))`,
  )
  const found = servers.find(({ run }) => run.child.pid === row?.pid)
  if (!found) throw new Error(`nobody works: ${JSON.stringify(row)}`)
  return found
}

async function problemsOfBackups({ file, temp }: ServeStage, request: string | undefined): Promise<string[]> {
  const listed = await runCli(['--config', file, 'backups', '--json'], { cwd: temp.path })
  const { backups = [] } = JSON.parse(listed.stdout) as { backups?: { request?: string }[] }
  const verified = await runCli(['--config', file, 'verify', '--deep'], { cwd: temp.path })
  return [
    ...(backups.length === 1 && backups[0]?.request === request ? [] : [`backups: ${listed.stdout}`]),
    ...(verified.code === 0 ? [] : [`verify: ${verified.stdout}${verified.stderr}`]),
  ]
}

const WORST: readonly Death[] = ['begun', 'backup committed']

export interface ServeSoakOptions {
  readonly major: number
  /** Of each death and each rescue. */
  readonly rounds: number
  /** Only where a backup would be made twice, or not at all. */
  readonly short: boolean
  readonly say: (line: string) => void
}

export async function runServeSoak({ major, rounds, short, say }: ServeSoakOptions) {
  await using server = await startTestServer({ major })
  // Not a copy of the one that is watched, which could not hold the control database.
  await using control = await startTestServer({ major, ownIdentity: true })
  // A backup of some seconds, so that there is a middle.
  await server.query(
    'create table load as select g, repeat(md5(g::text), 8) as text from generate_series(1, 400000) as g',
  )
  const problems: string[] = []
  let kills = 0
  let inTheMiddle = 0
  for (let round = 1; round <= rounds; round += 1) {
    for (const death of short ? WORST : (Object.keys(deaths) as Death[])) {
      for (const rescue of ['restart', 'second'] as const) {
        const outcome = await killServer({ server, control, death, rescue })
        kills += 1
        if (outcome.stateAtDeath === 'running') inTheMiddle += 1
        problems.push(...outcome.problems.map((problem) => `round ${round}, ${death}, ${rescue}: ${problem}`))
        say(`serve: ${death}, ${rescue}: ${outcome.stateAtDeath}, ${outcome.attempts} attempts`)
      }
    }
  }
  return { kills, inTheMiddle, problems }
}
