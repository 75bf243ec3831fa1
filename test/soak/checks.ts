/** What must hold after any kill; each returns what does not. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readMarks } from '../../src/demo/cinetrack/traffic.ts'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { parseLsn } from '../../src/postgres/lsn.ts'
import { readHeldArchive } from '../../src/recovery/held-archive.ts'
import { listBackups } from '../../src/repository/manifest-store.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { amcheck } from '../support/amcheck.ts'
import { waitArchived } from '../support/lab.ts'
import { restore } from '../support/restore.ts'
import type { Stage } from './stage.ts'

/** What the server was told is durable, is there: the slot's position is never ahead of the bytes that can be read back. */
export async function checkAcknowledged(stage: Stage): Promise<string[]> {
  const [slot] = await stage.server.query<{ lsn: string | null }>(
    `select restart_lsn::text as lsn from pg_replication_slots where slot_name = 'retake_main'`,
  )
  if (!slot?.lsn) return ['the slot is gone']
  await using repository = await openRepository(stage.url, stage.key)
  const { coverage } = await readHeldArchive(await repository.openCluster('main'))
  const ranges = coverage.flatMap((timeline) => timeline.ranges)
  const end = ranges.at(-1)?.endLsn
  const problems = coverage.flatMap(({ gaps }) => gaps).map((gap) => `a gap of WAL: ${gap.explanation}`)
  // Before anything is acknowledged the slot stands where it was made, and nothing is held.
  if (end !== undefined && parseLsn(slot.lsn) > end)
    problems.push(`acknowledged up to ${slot.lsn}, held up to ${end.toString(16)} only`)
  if (ranges.length > 1) problems.push(`${ranges.length} stretches of WAL are held instead of one`)
  return problems
}

/** Every backup that is listed is whole. A backup that was cut short is either not listed or, when it was killed after its commit, whole. */
export async function checkBackups(stage: Stage, known: Set<string>): Promise<string[]> {
  await using repository = await openRepository(stage.url, stage.key)
  const backups = await listBackups(await repository.openCluster('main'))
  const problems: string[] = []
  for (const backupId of known)
    if (!backups.some((backup) => backup.backupId === backupId)) problems.push(`backup ${backupId} has disappeared`)
  for (const { backupId } of backups) {
    if (known.has(backupId)) continue
    known.add(backupId)
    const report = await verifyRepository({ repository, cluster: 'main', backupId, depth: 'deep', workers: 0 })
    problems.push(
      ...report.findings
        .filter(({ severity }) => severity === 'error')
        .map(({ object, problem }) => `${object}: ${problem}`),
    )
  }
  return problems
}

/** Quiesces the traffic, and compares a restore of the latest moment with the server, table by table. */
export async function audit(stage: Stage): Promise<string[]> {
  await stage.receiving()
  await stage.traffic.pause()
  try {
    const expected = await digestDatabase(stage.server)
    await waitArchived(stage.server, 120_000)
    await using restored = await restore(stage, { at: 'latest' })
    const problems = compareDigests(expected, await digestDatabase(restored)).map(
      ({ object, problem }) => `after a restore ${object} ${problem}`,
    )
    problems.push(...(await missingMarks(stage, restored)), ...(await amcheck(restored)).findings)
    await using repository = await openRepository(stage.url, stage.key)
    const { findings } = await verifyRepository({ repository, depth: 'quick', workers: 0 })
    problems.push(
      ...findings
        .filter(({ severity }) => severity === 'error')
        .map(({ object, problem }) => `verify: ${object}: ${problem}`),
    )
    return problems
  } finally {
    stage.traffic.resume()
  }
}

/** Every transaction whose commit returned is there. */
export async function missingMarks(
  stage: Pick<Stage, 'traffic'>,
  restored: Parameters<typeof readMarks>[0],
): Promise<string[]> {
  const present = await readMarks(restored)
  const missing = stage.traffic.committed.filter(
    ({ connection, sequence }) => !present.has(`${connection}:${sequence}`),
  )
  const [first] = missing
  if (!first) return []
  return [
    `${missing.length} of ${stage.traffic.committed.length} confirmed transactions are missing, the first is ${first.xid} (${first.kind})`,
  ]
}

/** A directory that a killed restore left: no server starts from it as if it were whole. */
export function checkLeftDirectory(directory: string): string[] {
  const has = (name: string) => existsSync(join(directory, name))
  if (!has('global/pg_control')) return []
  // The control file is the last act of laying out: what has one has everything, and either still is to recover or has recovered.
  return has('PG_VERSION') && (has('recovery.signal') || has('pg_wal'))
    ? []
    : [`${directory} has a control file and is not whole`]
}

/** Of a server that a killed restore left running. */
export function postmasterOf(directory: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0])
    process.kill(pid, 0)
    return pid
  } catch {
    return undefined
  }
}
