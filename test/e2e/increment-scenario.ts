/** Increments under load, backups deleted in between at random, survivors restored and compared exactly: a test, and a soak. */
import { sleep } from '../../src/base/abort.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { startTraffic } from '../../src/demo/cinetrack/traffic.ts'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { backupsPrefix, runKey } from '../../src/repository/layout.ts'
import type { BackupSummary } from '../../src/repository/manifest.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { amcheck } from '../support/amcheck.ts'
import { churn, installChurn } from '../support/churn.ts'
import { type Protection, protect, waitArchived } from '../support/lab.ts'
import { type Moment, prepareMoments, recordMoment } from '../support/moments.ts'
import { startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { installTpcb, startTpcb } from '../support/tpcb.ts'

export interface IncrementScenario {
  readonly major: number
  readonly increments: number
  /** Every so many increments one is restored at once. */
  readonly restoreEvery: number
  /** Survivors that are restored at the end, the last one among them. */
  readonly restoresAtEnd: number
  readonly scale: number
  readonly checksums?: boolean | undefined
  /** Let the server keep summaries (17 and later); else pages are judged by LSN, through replication and by files in turn. */
  readonly summaries?: boolean | undefined
  readonly seed?: number | undefined
  readonly say?: ((line: string) => void) | undefined
}

export interface IncrementOutcome {
  readonly seed: number
  readonly restores: number
  readonly deleted: number
  readonly backups: readonly BackupSummary[]
  /** Empty when every restore was exact and sound. */
  readonly problems: readonly string[]
}

interface Kept {
  readonly summary: BackupSummary
  /** Right after it. */
  readonly moment: Moment
}

const DELETE_CHANCE = 0.3
const ACCOUNTS = 4_000
const ROWS = 5_000

export async function runIncrementScenario(scenario: IncrementScenario): Promise<IncrementOutcome> {
  const { major, scale, seed = Date.now() % 1_000_000, summaries = false, checksums = true, say } = scenario
  const random = new Random(seed, 0x696e)
  const settings = { checkpoint_timeout: '30s', ...(summaries ? { summarize_wal: 'on' } : {}) }
  await using server = await startTestServer({ major, checksums, settings })
  await installCineTrack({ target: server.target, scale })
  await installTpcb(server.target, ACCOUNTS)
  await installChurn(server, ROWS)
  await server.query('create extension if not exists pg_visibility')
  await prepareMoments(server)
  await using protection = await protect(server)
  await using _receiver = protection.receive()
  await using traffic = await startTraffic({ target: server.target, scale, connections: 2, transactionsPerSecond: 100 })
  await using tpcb = await startTpcb({ target: server.target, accounts: ACCOUNTS, transactionsPerSecond: 100 })
  const kept: Kept[] = []
  const backups: BackupSummary[] = []
  const problems: string[] = []
  let restores = 0
  let deleted = 0
  const check = async (one: Kept) => {
    // A restore point is written when something commits after it.
    await server.query('insert into moment (number) values ((select max(number) + 1000 from moment))')
    await waitArchived(server)
    const found = await restoreAndCompare(protection, one)
    restores += 1
    problems.push(...found)
    say?.(`${one.summary.backupId} restored: ${found.length === 0 ? 'exact' : found.join('; ')}`)
  }
  for (let number = 0; number <= scenario.increments; number++) {
    const [summary] = await Promise.all([
      protection.backUp({ via: summaries || number % 2 === 0 ? 'replication' : 'files' }),
      // Changes of every kind in the middle of it, too.
      number > 0 ? churn(server, number - 1, ROWS) : undefined,
    ])
    backups.push(summary)
    problems.push(...judge(summary, { number, summaries }))
    say?.(describe(summary, number))
    const one = { summary, moment: await recordMoment(server, [traffic, tpcb], number) }
    kept.push(one)
    if (number > 0 && number % scenario.restoreEvery === 0) await check(one)
    if (kept.length > 2 && random.chance(DELETE_CHANCE)) {
      const [victim] = kept.splice(random.between(0, kept.length - 2), 1)
      if (victim) await forget(protection.cluster, victim.summary.backupId)
      deleted += 1
    }
    await sleep(random.between(0, 200))
  }
  if (traffic.committed.length < 20) problems.push(`the traffic did not flow: ${traffic.lastError}`)
  const last = kept.pop()
  for (let left = scenario.restoresAtEnd - 1; left > 0 && kept.length > 0; left--) {
    const [one] = kept.splice(random.between(0, kept.length - 1), 1)
    if (one) await check(one)
  }
  if (last) await check(last)
  const { findings } = await verifyRepository({ repository: protection.repository, depth: 'deep' })
  problems.push(
    ...findings.filter(({ severity }) => severity === 'error').map(({ object, problem }) => `${object}: ${problem}`),
  )
  return { seed, restores, deleted, backups, problems }
}

/** As if it had never been, but for its packs. */
async function forget({ store, facts }: ClusterRepository, backupId: string): Promise<void> {
  for await (const { key } of store.list(`${backupsPrefix(facts.name)}${backupId}`)) await store.delete(key)
  for (const what of ['done', 'begun'] as const) await store.delete(runKey(facts.name, backupId, what))
}

function judge(summary: BackupSummary, options: { readonly number: number; readonly summaries: boolean }): string[] {
  const { backupId, type, changeSource, reason } = summary
  const expected = options.summaries ? 'wal-summaries' : 'page-lsn'
  const isRight = options.number === 0 ? type === 'full' : type === 'incremental' && changeSource === expected
  // Every so often the parent lies in too many pieces for the summaries alone.
  if (isRight || (options.summaries && reason?.includes('many pieces'))) return []
  return [`${backupId} is ${type} by ${changeSource}: ${reason}`]
}

function describe(summary: BackupSummary, number: number): string {
  const {
    type,
    changeSource = 'content',
    totalBytes,
    readBytes = 0,
    changedBytes = 0,
    storedBytes,
    packCount,
  } = summary
  const mib = (bytes: number) => `${(bytes / 1048576).toFixed(1)} MiB`
  return `${number}: ${type} by ${changeSource}, ${mib(readBytes)} read of ${mib(totalBytes)}, ${mib(changedBytes)} changed, ${mib(storedBytes)} stored, ${packCount} packs`
}

async function restoreAndCompare(protection: Protection, { summary, moment }: Kept): Promise<string[]> {
  const at = moment.targets.lsn
  await using restored = await restore(protection, { at, backupId: summary.backupId })
  const problems = compareDigests(moment.contentAt('lsn'), await digestDatabase(restored)).map(
    ({ object, problem }) => `${object} ${problem}`,
  )
  const { findings, heapsChecked } = await amcheck(restored)
  if (heapsChecked < 50) problems.push(`amcheck looked at ${heapsChecked} heaps only`)
  problems.push(...findings.map((finding) => `amcheck: ${finding}`))
  const [visibility] = await restored.query<{ wrong: string[] | null }>(
    `select array_agg(distinct c.oid::regclass::text) as wrong from pg_class c
     where relkind in ('r', 'm', 't') and relpersistence = 'p'
       and (exists (select from pg_check_visible(c.oid)) or exists (select from pg_check_frozen(c.oid)))`,
  )
  problems.push(...(visibility?.wrong ?? []).map((table) => `the visibility map of ${table} lies`))
  return problems.map((problem) => `${summary.backupId} at ${at}: ${problem}`)
}
