/** Recovery with a long log: a base backup, then WAL for a while, then restore, start and replay to its end. */
import { execFile } from 'node:child_process'
import { appendFile, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { sleep } from '../src/base/abort.ts'
import { startTraffic } from '../src/demo/cinetrack/traffic.ts'
import { openSql } from '../src/postgres/connection/sql.ts'
import { LocalServer } from '../src/postgres/server/local-server.ts'
import type { RestoreReport } from '../src/recovery/report.ts'
import { measure } from '../test/support/measure.ts'
import { stopServer } from '../test/support/restore.ts'
import { archiveDirectory, type Tools } from './cases.ts'
import { bytesBelow, inside, type Lab, settle, writeOwned } from './lab.ts'
import { pgBaseBackup } from './peers.ts'
import { startReceiver } from './retake.ts'

const run = promisify(execFile)

export interface ReplaySample {
  readonly name: string
  /** From nothing to a server that takes writes. */
  readonly totalSeconds: number
  /** PostgreSQL's own account of the replay; not told where a table alone is brought back. */
  readonly redoSeconds?: number | undefined
  /** Out of the backup, without WAL: as Retake says it; of pgBackRest, the size of its one backup. */
  readonly fetchedBytes?: number | undefined
}

export interface ReplaySetup {
  readonly walBytes: number
  run(): Promise<ReplaySample[]>
}

/** About 20 MiB, beside everything else. */
const SMALL_TABLE = `create table if not exists public.one_table as
  select g as id, repeat(md5(g::text), 8) as body from generate_series(1, 66000) g`

/** Takes a backup with each tool, then writes WAL that all of them archive. */
export async function prepareReplay(lab: Lab, tools: Tools, walBytes: number): Promise<ReplaySetup> {
  const { retake, pgBackRest } = tools
  await lab.server.query(SMALL_TABLE)
  const archive = await lab.fresh('archive')
  await pgBackRest?.reset()
  const push = pgBackRest ? `${pgBackRest.archiveCommand} && ` : ''
  await setArchiveCommand(lab, `${push}cp %p ${archive}/%f`)
  await retake.reset()
  await using _receiver = startReceiver(retake)
  try {
    await measure(retake.command(['backup', '--quiet']))
    if (pgBackRest) await measure(pgBackRest.backup())
    await measure(pgBaseBackup(lab, { to: await lab.fresh('basebackup') }))
    const written = await writeWal(lab, walBytes)
    await everythingArchived(lab)
    return { walBytes: written, run: () => runReplay(lab, tools) }
  } finally {
    await setArchiveCommand(lab, 'true')
  }
}

async function setArchiveCommand(lab: Lab, command: string): Promise<void> {
  await lab.server.query(`alter system set archive_command = '${command.replaceAll("'", "''")}'`)
  await lab.server.query('select pg_reload_conf()')
}

async function writeWal(lab: Lab, bytes: number): Promise<number> {
  const [start] = await lab.server.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  const traffic = await startTraffic({ target: lab.server.target, scale: lab.scale, connections: 8 })
  try {
    for (;;) {
      const [row] = await lab.server.query<{ written: string }>(`select pg_current_wal_lsn() - $1::pg_lsn as written`, [
        start?.lsn,
      ])
      if (Number(row?.written) >= bytes) return Number(row?.written)
      if (traffic.committed.length === 0 && traffic.lastError !== undefined) throw new Error(traffic.lastError)
      await sleep(250)
    }
  } finally {
    await traffic.stop()
  }
}

async function everythingArchived(lab: Lab): Promise<void> {
  const [last] = await lab.server.query<{ name: string; lsn: string }>(
    'select pg_walfile_name(pg_switch_wal()) as name, pg_current_wal_lsn()::text as lsn',
  )
  for (let i = 0; i < 2_400; i++) {
    const [state] = await lab.server.query<{ done: boolean }>(
      `select coalesce((select last_archived_wal >= $1 from pg_stat_archiver), false)
         and coalesce((select min(restart_lsn) >= $2::pg_lsn from pg_replication_slots), true) as done`,
      [last?.name, last?.lsn],
    )
    if (state?.done) return
    await sleep(250)
  }
  throw new Error('the WAL was not archived within ten minutes')
}

async function runReplay(lab: Lab, tools: Tools): Promise<ReplaySample[]> {
  const { retake, pgBackRest } = tools
  const to = lab.directory.join('restored')
  const samples = [await replayOurs(lab, retake), await oneTable(lab, retake)]
  if (pgBackRest) {
    const restore = async () => {
      await lab.fresh('restored')
      await measure(pgBackRest.restore(to))
    }
    const fetchedBytes = await bytesBelow(pgBackRest.repo, ['--exclude=archive'])
    samples.push({ ...(await replayTheirs(lab, { name: 'pgBackRest, archive-get async', to, restore })), fetchedBytes })
  }
  const restore = async () => {
    await lab.fresh('restored')
    await lab.prepare({ program: 'cp', args: ['-aT', lab.directory.join('basebackup'), to] })
    await lab.prepare({ program: 'sync', args: [] })
    await writeOwned(inside(to, 'recovery.signal'), '')
    await appendFile(inside(to, 'postgresql.auto.conf'), `\nrestore_command = 'cp ${archiveDirectory(lab)}/%f %p'\n`)
  }
  samples.push(await replayTheirs(lab, { name: 'cp of plain files, restore_command = cp', to, restore }))
  return samples
}

/** One command restores, starts the server, replays and promotes; what it measured itself is in its JSON. */
async function replayOurs(lab: Lab, retake: Tools['retake']): Promise<ReplaySample> {
  const to = lab.directory.join('restored')
  await lab.prepare({ program: 'rm', args: ['-rf', to] })
  await settle(lab)
  const { program, args, env } = retake.command([
    'restore',
    'apply',
    '--at',
    'latest',
    '--to',
    to,
    '--set',
    'shared_buffers=512MB',
    '--json',
    '--quiet',
  ])
  const begunMs = performance.now()
  const { stdout } = await run(program, [...args], { env: { ...process.env, ...env }, maxBuffer: 1 << 24 })
  const totalSeconds = (performance.now() - begunMs) / 1_000
  const { report } = JSON.parse(stdout) as { report: RestoreReport }
  if (report.server) await stopServer(report.server.pid)
  const { fetchedBytes } = report.files
  return { name: 'retake', totalSeconds, redoSeconds: (report.wal.replayMs ?? Number.NaN) / 1_000, fetchedBytes }
}

/** To the same moment, out of the same backup and WAL: its rows in a file. */
async function oneTable(lab: Lab, retake: Tools['retake']): Promise<ReplaySample> {
  const out = await lab.fresh('one-table')
  const where = ['--dir', await lab.fresh('t'), '--out', out, '--format', 'binary', '--json', '--quiet']
  await settle(lab)
  const { program, args, env } = retake.command(['restore', 'table', 'public.one_table', '--at', 'latest', ...where])
  const begunMs = performance.now()
  const { stdout } = await run(program, [...args], { env: { ...process.env, ...env }, maxBuffer: 1 << 24 })
  const totalSeconds = (performance.now() - begunMs) / 1_000
  const { report } = JSON.parse(stdout) as { report: { readonly fetchedBytes: number } }
  return { name: 'retake restore table, 20 MiB', totalSeconds, fetchedBytes: report.fetchedBytes }
}

async function replayTheirs(
  lab: Lab,
  how: { readonly name: string; readonly to: string; readonly restore: () => Promise<void> },
): Promise<ReplaySample> {
  await settle(lab)
  const begunMs = performance.now()
  await how.restore()
  await using server = await LocalServer.start({
    binDir: lab.server.binDir,
    dataDir: how.to,
    settings: { archive_mode: 'off', shared_buffers: '512MB' },
    readyTimeoutMs: 600_000,
  })
  await using sql = await openSql(server.target())
  for (;;) {
    const [row] = await sql.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering')
    if (!row?.recovering) break
    await sleep(20)
  }
  const totalSeconds = (performance.now() - begunMs) / 1_000
  return { name: how.name, totalSeconds, redoSeconds: redoSeconds(await readFile(server.logFile, 'utf8')) }
}

/** `redo done at 0/5000060 system usage: CPU: user: 1.20 s, system: 0.30 s, elapsed: 1.80 s` */
function redoSeconds(log: string): number {
  return Number(/redo done at .* elapsed: ([\d.]+) s/.exec(log)?.[1])
}
