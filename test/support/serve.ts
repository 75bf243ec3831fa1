/** `retake serve` as processes beside one protected server and one control database, for tests that look into both. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type CliRun, runCli, startCli } from './cli.ts'
import type { TestServer } from './postgres.ts'
import { makeTemp, type TempDirectory } from './temp.ts'

export interface ServeStage extends AsyncDisposable {
  readonly temp: TempDirectory
  /** The configuration of the cluster. */
  readonly file: string
  readonly repository: string
  /** Starts one more server; it shares the control database of `control`, or has one of its own. */
  serve(): Promise<ServeProcess>
  /** Rows of the outside control database. */
  query<R extends object>(text: string): Promise<R[]>
}

export interface ServeProcess {
  readonly run: CliRun
  /** SIGTERM, and its end. @returns the exit status */
  stop(): Promise<number | null>
  /** What it has told so far. */
  log(): string
}

export interface StageOptions {
  readonly server: TestServer
  /** Default: every server has a control database of its own. */
  readonly control?: TestServer | undefined
  /** YAML. */
  readonly schedules: string
  /** YAML. Default: `off`, so that what else this machine does puts nothing off. */
  readonly loadGuard?: string | undefined
  readonly serverFile?: string | undefined
  /** Written beside it. */
  readonly files?: Readonly<Record<string, string>> | undefined
}

/** A repository for the server, and the files that `retake serve` reads. */
export async function stageServe(options: StageOptions): Promise<ServeStage> {
  const { server, control, schedules } = options
  const temp = makeTemp({ label: 'serve' })
  const file = temp.join('main.yaml')
  const repository = temp.join('repository')
  writeFileSync(
    file,
    `repo: ${repository}\nkeyFile: ${temp.join('key')}\ndatabaseUrl: ${urlOf(server)}\nslot: ${temp.path.split('-').at(-1)?.toLowerCase()}\nworkers: 1\nloadGuard: ${options.loadGuard ?? 'off'}\nschedules: ${schedules}\n`,
  )
  writeFileSync(
    temp.join('retake.server.yaml'),
    `clusters: [main.yaml]\ndirectory: data\nlisten: 127.0.0.1:0\ncheckSeconds: 5\ngraceSeconds: 20\n${options.serverFile ?? ''}`,
  )
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(temp.join(name), text)
  const made = await runCli(['--config', file, 'init', '--new-key', temp.join('key')], { cwd: temp.path })
  if (made.code !== 0) throw new Error(made.stderr)
  const database = control && (await makeDatabase(control))
  const starting: Promise<ServeProcess>[] = []
  return {
    temp,
    file,
    repository,
    serve: () => {
      const process = startServe(temp.path, database === undefined ? {} : { DATABASE_URL: database.url })
      starting.push(process)
      return process
    },
    query: async <R extends object>(text: string) => (await database?.client.query<R>(text))?.rows ?? [],
    async [Symbol.asyncDispose]() {
      // Also one that is still coming up, when another one has failed to.
      await Promise.all(starting.map((one) => one.then(({ stop }) => stop()).catch(() => {})))
      await database?.client.end()
      await server.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active`)
      await temp[Symbol.asyncDispose]()
    },
  }
}

const urlOf = ({ target: { config } }: TestServer, database = 'postgres') =>
  `postgres://${config.user}@${config.host}:${config.port}/${database}`

let databases = 0

async function makeDatabase(control: TestServer): Promise<{ readonly url: string; readonly client: pg.Client }> {
  databases += 1
  const name = `control_${databases}`
  await control.query(`create database ${name}`)
  const client = new pg.Client(urlOf(control, name))
  await client.connect()
  return { url: urlOf(control, name), client }
}

const READY_WITHIN_MS = 60_000

async function startServe(cwd: string, env: Readonly<Record<string, string>>): Promise<ServeProcess> {
  const run = startCli(['serve'], { cwd, env })
  let told = ''
  run.child.stderr?.on('data', (bytes: Buffer) => (told += bytes))
  let ended = false
  void run.ended.then(() => (ended = true))
  await waitFor(() => ended || told.includes('The server is ready at '), {
    what: () => `a ready server: ${told}`,
    limitMs: READY_WITHIN_MS,
  }).catch((error: unknown) => {
    run.kill()
    throw error
  })
  if (ended) throw new Error(`the server ended: ${told}`)
  return {
    run,
    log: () => told,
    stop: async () => {
      run.child.kill('SIGTERM')
      return (await run.ended).code
    },
  }
}

export async function waitFor(
  isThere: () => boolean | Promise<boolean>,
  { what, limitMs = 60_000, everyMs = 10 }: { what: () => string; limitMs?: number; everyMs?: number },
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isThere())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what()}`)
    await sleep(everyMs)
  }
}

/** Whether an object whose key begins and ends like this is in the repository. */
export function hasObject(directory: string, end: RegExp): boolean {
  if (!existsSync(directory)) return false
  return readdirSync(directory, { recursive: true }).some((name) => end.test(String(name)))
}
