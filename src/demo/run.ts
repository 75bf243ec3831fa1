/** The whole story: a PostgreSQL of its own is protected, wrecked and recovered to the last transaction before, with proof. */
import { randomInt } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sleep, throwIfAborted } from '../base/abort.ts'
import type { BackupReport } from '../engine/backup.ts'
import { backUp } from '../engine/backup.ts'
import { initialise } from '../engine/initialise.ts'
import { openRetake, type Retake } from '../engine/open.ts'
import { receiveWal } from '../engine/receive-wal.ts'
import { openSql } from '../postgres/connection/sql.ts'
import type { SqlConnection } from '../postgres/connection/sql-connection.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { startTraffic, type Traffic } from './cinetrack/traffic.ts'
import { type Disaster, disasterKinds, strike } from './disasters.ts'
import { writeEvidence } from './evidence.ts'
import { compareWithBefore, type Proof, renderProof } from './proof.ts'
import { type Recovered, recover } from './recover.ts'
import { type SourceServer, SUPERUSER, startSourceServer } from './source-server.ts'
import { Story } from './story.ts'

export type DisasterKind = Disaster['kind']

export interface DemoOptions {
  /** Default: one of the three, at random. */
  readonly disaster?: DisasterKind | undefined
  /** Leave servers, repository and key in place, and say how to use them. Default false: nothing is left but the evidence. */
  readonly keep?: boolean | undefined
  /** Of the server that is protected. Default: a free one. */
  readonly port?: number | undefined
  /** Where the evidence goes; default `.retake-demo` in the working directory, or in the temporary one where that cannot be written. */
  readonly evidenceDirectory?: string | undefined
  /** Gets the story line by line. */
  readonly out: (line: string) => void
  readonly signal?: AbortSignal | undefined
  /** Default 1: about 100,000 rows. */
  readonly scale?: number | undefined
  readonly seed?: number | undefined
  /** How long the story waits while users work, relative to what a person likes to watch; default 1. */
  readonly pace?: number | undefined
}

export interface DemoResult {
  readonly disaster: DisasterKind
  /** Every table holds what it held in the instant before the disaster, and no acknowledged transaction is missing. */
  readonly exact: boolean
  readonly differences: readonly string[]
  /** Transactions that users were told are done before the disaster, and how many of them are not there now. */
  readonly acknowledgedTransactions: number
  readonly lostTransactions: number
  readonly rpoMs: number
  readonly rtoMs: number
  readonly evidenceFile: string
  readonly totalMs: number
  /** With `keep`: where everything is. */
  readonly kept?: KeptDemo | undefined
}

export interface KeptDemo {
  readonly directory: string
  readonly repository: string
  readonly keyFile: string
  /** The original server; absent when the disaster took it. */
  readonly source?: { readonly url: string; readonly pid: number } | undefined
  readonly recovered: { readonly url: string; readonly pid: number }
}

/** What the steps share, as it comes into being. */
interface Scene {
  readonly options: DemoOptions
  readonly story: Story
  readonly directory: string
  readonly repository: string
  readonly keyFile: string
  readonly source: SourceServer
  readonly admin: SqlConnection
  readonly traffic: Traffic
}

/**
 * Runs the demo. Takes about half a minute on two cores; needs no network and no account.
 * @throws RetakeError `dependency.missing` when there is no PostgreSQL; `aborted`; whatever a step fails with
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const begunMs = performance.now()
  const begunAt = new Date().toISOString()
  await using undo = new AsyncDisposableStack()
  const directory = await makeDirectory(undo)
  const story = new Story(options.out)
  options.out('Retake demo: a PostgreSQL is protected, wrecked, and recovered to the last transaction before.')

  const { source, traffic, admin } = await story.step('A server to protect', (say) =>
    startSource(options, { directory, undo, say }),
  )
  const scene = {
    ...{ options, story, directory, source, traffic, admin },
    repository: path.join(directory, 'repository'),
    keyFile: path.join(directory, 'key'),
  }
  const { retake, receiver } = await story.step('Protection', (say) => protect(scene, { undo, say }))
  const backup = await story.step('Full backup, while users work', (say) => takeBackup(scene, { retake, say }))
  await story.step('Life goes on', (say) => letLifeGoOn(scene, { ms: 2_500 * (options.pace ?? 1), say }))
  const disaster = await story.step('Disaster', (say) => wreck(scene, say))
  // A server that is gone sends no more WAL; what the receiver has is then all there will ever be.
  if (disaster.kind === 'lose-server') await receiver.stop()
  const recovered = await recover(retake, { story, disaster, directory, begunAt, undo, signal: options.signal })
  const proof = await story.step('Proof', async (say) => {
    const found = await compareWithBefore(recovered, { disaster, traffic })
    for (const line of renderProof(found)) say(line)
    return found
  })
  const facts = { disaster, backup, recovered, proof, timings: story.timings, totalMs: performance.now() - begunMs }
  const evidenceFile = await writeEvidence(options.evidenceDirectory, facts)
  const result = resultOf(facts, evidenceFile)
  tellEnd(story, result)
  if (!options.keep) return result
  const kept = await keep(scene, recovered, { disaster, receiver, undo })
  tellKept(story, kept)
  return { ...result, kept }
}

/** Short, because a Unix socket's path is; open to the account that the servers run under. */
async function makeDirectory(undo: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'retake-demo-'))
  undo.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  await chmod(directory, 0o755)
  const servers = path.join(directory, 'servers')
  await mkdir(servers)
  const account = serverAccount()
  if (account) await chown(servers, account.uid, account.gid)
  return directory
}

interface Telling {
  readonly undo: AsyncDisposableStack
  readonly say: (line: string) => void
}

async function startSource(options: DemoOptions, context: Telling & { readonly directory: string }) {
  const { directory, undo, say } = context
  const { scale = 1, seed = 1, signal, port } = options
  const source = await startSourceServer({
    ...{ scale, seed, signal, port },
    dataDir: path.join(directory, 'servers', 'original'),
    socketDir: path.join(directory, 'servers'),
    logFile: path.join(directory, 'servers', 'original.log'),
  })
  undo.use(source.server)
  const admin = undo.use(await openSql(source.target()))
  const traffic = undo.use(
    await startTraffic({
      target: source.target(),
      scale,
      seed,
      connections: 4,
      transactionsPerSecond: 80,
      marks: true,
    }),
  )
  const version = `${Math.floor(admin.serverVersionNum / 10_000)}.${admin.serverVersionNum % 10_000}`
  say(`PostgreSQL ${version} on port ${source.server.port}: CineTrack on a Supabase-like platform`)
  say(
    `${source.rows.toLocaleString('en')} rows in ten tables and what belongs to them; users at work, 80 transactions/s`,
  )
  return { source, admin, traffic }
}

/** The archive takes part in each commit: what a user was told is done, is in the repository. */
async function protect(scene: Scene, { undo, say }: Telling) {
  const { repository, keyFile, source, admin, options } = scene
  const databaseUrl = source.target('postgres').display
  const made = await initialise({ repo: repository, newKeyFile: keyFile, databaseUrl, signal: options.signal })
  const retake = undo.use(await openRetake({ repo: repository, keyFile, databaseUrl }))
  const run = receiveWal(retake, { synchronous: true })
  const stop = async () => {
    // Else every commit would wait for a standby that has gone.
    await admin.query('alter system reset synchronous_standby_names').catch(() => {})
    await admin.query('select pg_reload_conf()').catch(() => {})
    run.abort()
    await run.result.catch(() => {})
  }
  undo.defer(stop)
  // A receiver that fails on its own must end the demo, not leave it waiting.
  run.result.catch((error: unknown) => options.out(`    the receiver ended: ${String(error)}`))
  await waitStreaming(admin, options.signal)
  await admin.query(`alter system set synchronous_standby_names = 'retake'`)
  await admin.query('select pg_reload_conf()')
  say(
    `encrypted repository ${made.repository.id?.slice(0, 8)}, key in a file of its own, replication slot ${made.slot.name}`,
  )
  say('WAL is received as a synchronous standby: a commit returns when it is durable here as well')
  return { retake, receiver: { stop } }
}

async function waitStreaming(admin: SqlConnection, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const [row] = await admin.query<{ streaming: boolean }>(
      `select exists (select from pg_stat_replication where application_name = 'retake' and state = 'streaming') as streaming`,
    )
    if (row?.streaming) return
    await sleep(25, signal)
  }
}

async function takeBackup(
  scene: Scene,
  { retake, say }: { readonly retake: Retake; readonly say: (line: string) => void },
): Promise<BackupReport> {
  const before = scene.traffic.committed.length
  const report = await backUp(retake, { label: 'demo', signal: scene.options.signal }).result
  const { totalBytes, storedBytes, fileCount } = report.backup
  const during = scene.traffic.committed.length - before
  say(
    `${megabytes(totalBytes)} in ${fileCount.toLocaleString('en')} files, stored as ${megabytes(storedBytes)}, compressed and sealed`,
  )
  say(`${during} transactions were committed meanwhile`)
  return report
}

async function letLifeGoOn(
  scene: Scene,
  options: { readonly ms: number; readonly say: (line: string) => void },
): Promise<void> {
  const { traffic } = scene
  const before = traffic.committed.length
  await sleep(options.ms, scene.options.signal)
  options.say(`${traffic.committed.length - before} more transactions, ${traffic.committed.length} in all`)
}

async function wreck(scene: Scene, say: (line: string) => void): Promise<Disaster> {
  const { options, traffic, admin, source } = scene
  throwIfAborted(options.signal)
  const kind = options.disaster ?? (disasterKinds[randomInt(disasterKinds.length)] as DisasterKind)
  // The only pause of the traffic: what every table holds must be noted exactly, to compare with later.
  await traffic.pause()
  const acknowledged = traffic.committed.length
  const disaster = await strike(kind, { sql: admin, server: source.server, acknowledged })
  traffic.resume()
  say(disaster.command)
  say(`${disaster.damage}, after ${acknowledged} transactions of this demo`)
  if (disaster.kind !== 'lose-server') {
    await sleep(1_500 * (options.pace ?? 1), options.signal)
    say(`nobody noticed at once: ${traffic.committed.length - acknowledged} more transactions followed`)
  }
  return disaster
}

function resultOf(
  facts: {
    readonly disaster: Disaster
    readonly recovered: Recovered
    readonly proof: Proof
    readonly totalMs: number
  },
  evidenceFile: string,
): DemoResult {
  const { disaster, recovered, proof, totalMs } = facts
  return {
    disaster: disaster.kind,
    exact: proof.differences.length === 0 && proof.lost === 0,
    differences: proof.differences.map(({ object, problem }) => `${object} ${problem}`),
    acknowledgedTransactions: proof.acknowledged,
    lostTransactions: proof.lost,
    rpoMs: proof.rpoMs,
    rtoMs: recovered.rtoMs,
    evidenceFile,
    totalMs,
  }
}

function tellEnd(story: Story, result: DemoResult): void {
  const { acknowledgedTransactions: acknowledged, lostTransactions: lost, rpoMs, rtoMs } = result
  story.line()
  story.line(
    result.exact
      ? '    RECOVERED. Every table is what it was in the instant before the disaster.'
      : `    NOT EXACT: ${result.differences.join('; ') || `${lost} transactions are missing`}`,
  )
  story.line(
    `    RPO measured  ${(rpoMs / 1_000).toFixed(1)} s   ${lost} of ${acknowledged} acknowledged transactions lost`,
  )
  story.line(
    `    RTO measured  ${(rtoMs / 1_000).toFixed(1)} s   from the decision to recover until the server took connections`,
  )
  story.line(`    Evidence      ${result.evidenceFile}`)
}

async function keep(
  scene: Scene,
  recovered: Recovered,
  context: {
    readonly disaster: Disaster
    readonly receiver: { stop(): Promise<void> }
    readonly undo: AsyncDisposableStack
  },
): Promise<KeptDemo> {
  const { source, directory, repository, keyFile, traffic, admin } = scene
  const { disaster, receiver, undo } = context
  await traffic.stop()
  await receiver.stop()
  await admin[Symbol.asyncDispose]()
  const sourceIsThere = disaster.kind !== 'lose-server'
  if (sourceIsThere) source.server.release()
  // From here on nothing is undone.
  undo.move()
  return {
    ...{ directory, repository, keyFile },
    recovered: { url: recovered.url, pid: recovered.pid },
    ...(sourceIsThere ? { source: { url: source.target(SUPERUSER).display, pid: source.server.pid } } : {}),
  }
}

function tellKept(story: Story, kept: KeptDemo): void {
  story.line()
  story.line('    Everything is left in place. To look around:')
  if (kept.source) story.line(`      psql ${kept.source.url}      # the original`)
  story.line(`      psql ${kept.recovered.url}      # the recovered one`)
  story.line(`      export RETAKE_REPO=${kept.repository} RETAKE_KEY_FILE=${kept.keyFile}`)
  story.line('      retake backups; retake window; retake verify --deep')
  story.line('    To end it:')
  const pids = [kept.source?.pid, kept.recovered.pid].filter((pid) => pid !== undefined)
  story.line(`      kill -INT ${pids.join(' ')}; rm -rf ${kept.directory}`)
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
