/** Runs a laid-out directory through its recovery, up to the real end: promoted, paused or shut down at the target. */
import { open } from 'node:fs/promises'
import path from 'node:path'
import { sleep, throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import { LocalServer } from '../postgres/server/local-server.ts'
import { readServerLogTail } from '../postgres/server/log-tail.ts'
import type { WalFeeder } from './feeder.ts'
import type { RestorePlan } from './plan-types.ts'
import { type RecoveryFacts, RecoveryLog } from './recovery-log.ts'
import { type AfterRecovery, loggingSettings, recoverySettings, type SettingList } from './settings.ts'
import { LOG_NAME } from './target-directory.ts'

export interface RunServerOptions {
  readonly plan: RestorePlan
  readonly port: number
  readonly binDir: string
  readonly account: ServerAccount | undefined
  readonly feeder: WalFeeder
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export type RecoveryOutcome = 'promoted' | 'paused' | 'shut-down'

export interface RecoveredServer {
  readonly outcome: RecoveryOutcome
  readonly facts: RecoveryFacts
  /** Undefined when it has shut down. Handed over: it goes on when this process ends. */
  readonly server: LocalServer | undefined
  readonly logFile: string
}

const POLL_MS = 25
/** By an address, or by the socket of a server that listens on no address. */
const PORT_TAKEN = /could not bind .*Address already in use|lock file "[^"]*\.s\.PGSQL\.\d+\.lock" already exists/
/** PostgreSQL's own default, and short enough everywhere. */
const DEFAULT_SOCKET_DIRECTORY = '/tmp'

/**
 * Starts the server and waits until recovery has ended. On any error the server is stopped.
 * @throws RetakeError the feeder's own failure when WAL could not be delivered; `restore.mismatch` when the target was not
 * reached or another record was; `postgres.server` with the end of the log; `aborted`
 */
export async function runRecovery(options: RunServerOptions): Promise<RecoveredServer> {
  const { plan, binDir, account, feeder, signal } = options
  const { targetDirectory } = plan.place
  const logFile = path.join(targetDirectory, LOG_NAME)
  const log = await prepareLog(logFile, account)
  const server = await LocalServer.start({
    binDir,
    dataDir: targetDirectory,
    port: options.port,
    settings: Object.fromEntries(commandLineSettings(plan, feeder.restoreCommand)),
    socketDir: socketDirectory(plan),
    logFile,
    waitFor: 'none',
    account,
    signal,
  })
  try {
    const outcome = await waitForEnd({ ...options, server, log })
    checkStop(plan, log.facts)
    const runs = outcome !== 'shut-down'
    if (runs) server.release()
    return { outcome, facts: log.facts, server: runs ? server : undefined, logFile }
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export function commandLineSettings(plan: RestorePlan, restoreCommand: string): SettingList {
  const { action, settings } = plan.server
  return [
    // It wins over a data_directory in the configuration, which would be the original server's.
    ['data_directory', plan.place.targetDirectory],
    ['listen_addresses', settings.listen_addresses ?? 'localhost'],
    ...loggingSettings(),
    ...recoverySettings({ stop: plan.stop.setting, timeline: plan.target.timeline, restoreCommand, action }),
    // Nobody may connect before the target is reached, unless the server is to stay there for being looked at.
    ['hot_standby', action === 'pause' ? 'on' : 'off'],
  ]
}

/** Not in the data directory: the socket's lock file would get into the next backup, and stand in the way of its restore. */
function socketDirectory(plan: RestorePlan): string {
  return plan.server.settings.unix_socket_directories?.split(',')[0]?.trim() || DEFAULT_SOCKET_DIRECTORY
}

/** Owned by the server's account, because the next backup of this server will want to read it. */
async function prepareLog(logFile: string, account: ServerAccount | undefined): Promise<RecoveryLog> {
  await using handle = await open(logFile, 'a', 0o600)
  if (account) await handle.chown(account.uid, account.gid)
  return new RecoveryLog(logFile, (await handle.stat()).size)
}

async function waitForEnd(
  context: RunServerOptions & { readonly server: LocalServer; readonly log: RecoveryLog },
): Promise<RecoveryOutcome> {
  const { plan, server, log, feeder, signal, onProgress } = context
  let exit: { code: number | null; signal: NodeJS.Signals | null } | undefined
  void server.exited.then((how) => {
    exit = how
  })
  for (;;) {
    throwIfAborted(signal)
    // The exit is noted before the log is read: then the log is complete.
    const ended = exit
    const facts = await log.look()
    const outcome = outcomeOf(facts, plan.server.action)
    if (outcome && (outcome !== 'shut-down' || ended)) return outcome
    if (ended) throw await failureOf({ facts, feeder, logFile: server.logFile, plan })
    const { bytes } = feeder.delivered
    onProgress?.({ phase: 'replay', done: Math.min(bytes, plan.wal.bytes), total: plan.wal.bytes, unit: 'bytes' })
    await sleep(POLL_MS, signal)
  }
}

function outcomeOf(facts: RecoveryFacts, action: AfterRecovery): RecoveryOutcome | undefined {
  // A server that was told to pause but could not show itself yet promotes instead; that is what happened, so that is what is said.
  if (facts.recoveryComplete && facts.ready) return 'promoted'
  if (action === 'pause' && facts.paused) return 'paused'
  if (action === 'shutdown' && facts.shutDownAtTarget) return 'shut-down'
  return undefined
}

/** PostgreSQL found its target by its own rules; it must be the record that the plan found. */
function checkStop(plan: RestorePlan, facts: RecoveryFacts): void {
  // A paused server has not said yet where its replay ended, only at which position it stops, if the target is one.
  const reached = facts.redoDoneLsn ?? facts.stoppingLsn
  if (reached === undefined || reached === parseLsn(plan.stop.recordLsn)) return
  throw new RetakeError(
    'restore.mismatch',
    `Recovery stopped at ${formatLsn(reached)}, but the plan promised ${plan.stop.recordLsn}. The restored server is not what was planned and was stopped.`,
    {
      hint: 'Do not use the restored directory. Make a new plan; if it happens again, please report it with both positions.',
      details: { reachedLsn: formatLsn(reached), plannedLsn: plan.stop.recordLsn, stopping: facts.stopping },
    },
  )
}

async function failureOf(context: {
  readonly facts: RecoveryFacts
  readonly feeder: WalFeeder
  readonly logFile: string
  readonly plan: RestorePlan
}): Promise<RetakeError> {
  const { facts, feeder, logFile, plan } = context
  if (feeder.failure) return feeder.failure
  const tail = (await readServerLogTail(logFile)).join('\n')
  if (facts.targetNotReached !== undefined) {
    return new RetakeError(
      'restore.mismatch',
      `The server did not find the target in the WAL it was given (${facts.targetNotReached}), though the plan found it at ${plan.stop.recordLsn}. Nothing was promoted.`,
      { hint: 'Make a new plan; run `retake verify` if it happens again.', details: { logFile, log: tail } },
    )
  }
  return new RetakeError('postgres.server', `The restored server ended before its recovery did:\n${tail}`, {
    hint: 'The last lines of its log say why. Settings can be changed for the restored server with --set name=value.',
    details: { logFile, portTaken: PORT_TAKEN.test(tail), fatal: facts.fatal },
  })
}
