/** The recovery that is rehearsed, step by step: choose, plan, check the machine, lay out, replay, prove, stop. Each is timed. */
import { sleep } from '../base/abort.ts'
import { isRetakeError, RetakeError, systemErrorCode } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { Retake } from '../engine/open.ts'
import { applyRestore, planRestore } from '../engine/restore.ts'
import { readHoldings } from '../engine/window.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import type { RestoreReport } from '../recovery/report.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { runCheck } from './check.ts'
import { pageCheck } from './checks/page-sums.ts'
import { type ChosenTarget, chooseTarget, isMistaken, type WantedTarget } from './choose-target.ts'
import { sandboxSettings } from './isolation.ts'
import { assertFits } from './limits.ts'
import type { Protocol } from './protocol.ts'
import { type ProveOptions, prove, proveDeeply } from './prove.ts'
import type { Sandbox } from './sandbox.ts'
import { findAccess, type SandboxAccess } from './sandbox-access.ts'
import { killSandboxServer, serverProcesses } from './sandbox-server.ts'

export interface RehearseOptions {
  readonly retake: Retake
  readonly protocol: Protocol
  readonly sandbox: Sandbox
  readonly wanted: WantedTarget
  readonly deep: boolean
  readonly role: string | undefined
  readonly maxBytes: number | undefined
  readonly random: () => number
  readonly signal: AbortSignal
  readonly onProgress: ProgressListener
}

const STOP_WITHIN_MS = 60_000

/** The target that was asked for cannot be rehearsed, which is no finding of a drill: nothing of it is recorded. */
export class MistakenTarget extends Error {
  readonly error: RetakeError

  constructor(error: RetakeError) {
    super(error.message, { cause: error })
    this.error = error
  }
}

/** @throws whatever kept the recovery from being one; what was found until then is in the protocol */
export async function rehearse(options: RehearseOptions): Promise<void> {
  const { retake, protocol, sandbox, signal, deep } = options
  const tell = (phase: string) => options.onProgress({ phase, done: 0, unit: 'steps' })
  tell('choose')
  const { target, backups } = await protocol.phase('choose', () => choose(options))
  tell('plan')
  const plan = await protocol.phase('plan', () => plot(options, target))
  protocol.note({ backup: backupOf(plan, backups), size: sizeOf(plan) })
  await protocol.phase('preflight', async () =>
    assertFits(plan, { maxBytes: options.maxBytes, availableMemoryBytes: process.availableMemory() }),
  )
  const report = await applyRestore(retake, plan, { signal, onProgress: options.onProgress }).result
  protocol.addPhases(report.phases)
  noteReached(protocol, { target, report })
  const proof = await protocol.phase('connect', () => openProof(options, { plan, report }))
  await protocol.phase('prove', async () => protocol.noteChecks(await prove(proof)))
  // From here on nobody would wait any more: the users could be let in.
  if (protocol.failedChecks.length === 0) protocol.note({ rtoMs: protocol.elapsedMs })
  tell('read')
  if (deep) await protocol.phase('read', async () => protocol.noteChecks(await proveDeeply(proof)))
  tell('stop')
  await protocol.phase('stop', () => stopServer(sandbox, signal))
  tell('pages')
  const { clock } = retake
  await protocol.phase('pages', async () => {
    protocol.noteChecks([
      await runCheck(pageCheck, { dataDirectory: sandbox.dataDirectory, signal }, { clock, signal }),
    ])
  })
}

async function choose({
  retake,
  protocol,
  wanted,
  random,
}: RehearseOptions): Promise<{ readonly target: ChosenTarget; readonly backups: readonly BackupSummary[] }> {
  const { report, backups } = await readHoldings(retake)
  const target = chooseTarget(wanted, { windows: report.windows, now: retake.clock.now(), random: random() })
  const { asked, chosen, why, at } = target
  protocol.note({ target: { asked, chosen, why, ...(at === undefined ? {} : { at }) } })
  return { target, backups }
}

async function plot({ retake, sandbox, signal }: RehearseOptions, target: ChosenTarget): Promise<RestorePlan> {
  const { serverVersionNum } = (await retake.cluster()).facts
  try {
    return await planRestore(retake, {
      at: target.asked,
      to: sandbox.dataDirectory,
      timeline: target.timeline,
      settings: sandboxSettings(sandbox, { serverVersionNum }),
      signal,
    })
  } catch (error) {
    throw isRetakeError(error) && isMistaken(error, target) ? new MistakenTarget(error) : error
  }
}

function backupOf({ backup }: RestorePlan, backups: readonly BackupSummary[]) {
  const byId = new Map(backups.map((one) => [one.backupId, one]))
  const madeOn: string[] = []
  const own = byId.get(backup.backupId)
  for (let parent = own?.parent; parent !== undefined; parent = byId.get(parent)?.parent) madeOn.push(parent)
  return { backupId: backup.backupId, type: own?.type ?? 'full', madeOn, stoppedAt: backup.stoppedAt }
}

function sizeOf({ files, wal }: RestorePlan) {
  return { files: files.count, bytes: files.bytes, walBytes: wal.bytes }
}

function noteReached(
  protocol: Protocol,
  { target, report }: { readonly target: ChosenTarget; readonly report: RestoreReport },
): void {
  const { reached, warnings } = report
  protocol.noteWarnings(warnings)
  if (!reached) return
  const { lsn, xid, at } = reached
  protocol.note({
    reached: { lsn, ...(xid === undefined ? {} : { xid }), ...(at === undefined ? {} : { at: inMs(at) }) },
  })
  if (target.at === undefined || at === undefined) return
  protocol.note({ rpoMs: Math.max(0, Date.parse(target.at) - Date.parse(at)) })
}

const inMs = (at: string) => new Date(at).toISOString()

async function openProof(
  options: RehearseOptions,
  { plan, report }: { readonly plan: RestorePlan; readonly report: RestoreReport },
): Promise<ProveOptions> {
  const { retake, protocol, sandbox, role, deep, signal, onProgress } = options
  if (!report.server) throw new RetakeError('postgres.server', 'The recovered server does not run.')
  const { serverVersionNum } = (await retake.cluster()).facts
  const { user, database } = configuredSession(retake)
  const access = await findAccess({
    socketDirectory: sandbox.socketDirectory,
    port: report.server.port,
    serverVersionNum,
    candidates: [role, user].filter((name) => name !== undefined),
    candidateDatabase: database,
    signal,
  })
  const { programs, preloaded } = await askServer(access)
  protocol.notePrograms(programs)
  const { criticalTables } = retake.config
  return { access, plan, serverVersionNum, criticalTables, preloaded, deep, clock: retake.clock, signal, onProgress }
}

/** What backups connect as, and to, when that is known here. */
function configuredSession(retake: Retake): {
  readonly user?: string | undefined
  readonly database?: string | undefined
} {
  try {
    return retake.target().config
  } catch (error) {
    // An address that cannot be read is nothing that a drill needs.
    if (isRetakeError(error, 'config.invalid')) return {}
    throw error
  }
}

async function askServer(access: SandboxAccess): Promise<{ readonly programs: string; readonly preloaded: string }> {
  await using sql = await access.open(access.database)
  const [row] = await sql.query<{ programs: string; preloaded: string | null }>(
    `select current_setting('server_version') as programs,
       (select setting from pg_file_settings where name = 'shared_preload_libraries' and setting <> '' order by seqno desc limit 1) as preloaded`,
  )
  return { programs: row?.programs ?? '', preloaded: row?.preloaded ?? '' }
}

/** In order, so that its files are whole; a server that does not end is ended when the sandbox goes. */
async function stopServer(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  const [postmaster] = await serverProcesses(sandbox.dataDirectory)
  if (postmaster === undefined) return
  try {
    process.kill(postmaster, 'SIGINT')
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
  const deadline = performance.now() + STOP_WITHIN_MS
  while ((await serverProcesses(sandbox.dataDirectory)).length > 0) {
    if (performance.now() > deadline) return await killSandboxServer(sandbox)
    await sleep(20, signal)
  }
}
