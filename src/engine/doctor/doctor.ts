/**
 * `retake doctor`: facts are gathered step by step, each with its own time limit, then judged by small pure checks. A step that
 * fails makes the checks that need it `skipped` or `unknown`; it never hides the others.
 */
import { type Attempt, attempt } from '../../base/attempt.ts'
import type { RetakeError } from '../../base/errors.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import { openReplication } from '../../postgres/replication/connection.ts'
import { defaultSlotName } from '../config-options.ts'
import { type RetakeOptions, retakeSettings } from '../open.ts'
import {
  type Check,
  type CheckArea,
  type CheckResult,
  type CheckState,
  failed,
  passed,
  skipped,
  type Verdict,
} from './check.ts'
import { type DoctorContext, gatherMachineFacts, gatherRepositoryFacts } from './gather.ts'
import { machineChecks } from './machine-checks.ts'
import { type ReplicationAttempt, replicationChecks } from './replication-checks.ts'
import { repositoryChecks } from './repository-checks.ts'
import { majorOf, serverChecks } from './server-checks.ts'
import { gatherServerFacts, type ServerFacts } from './server-facts.ts'
import { spoolChecks } from './spool-checks.ts'
import { gatherSpoolFacts, type SpoolFacts } from './spool-facts.ts'

export interface DoctorReport {
  readonly checks: readonly CheckResult[]
  readonly counts: Readonly<Record<CheckState, number>>
  /** False when a check failed. */
  readonly healthy: boolean
}

/** Runs every check. Wrong is what it reports, so it throws only when it is aborted or the configuration cannot be read. */
export async function runDoctor(context: DoctorContext): Promise<DoctorReport> {
  const checks: CheckResult[] = []
  const server = await attemptStep(context, 'asking the server', (signal) => askServer(context, signal))
  checks.push({ ...reachable(server), id: 'server.reachable', area: 'server', title: 'Server answers' })
  const facts = 'value' in server ? server.value : undefined
  checks.push(...judgeAll('server', serverChecks, facts, 'The server could not be asked.'))

  const replication = await attemptStep(context, 'opening a replication connection', (signal) =>
    askReplication(context, signal),
  )
  const tried: ReplicationAttempt = 'value' in replication ? replication.value : { error: replication.error }
  checks.push(
    ...judgeAll('replication', replicationChecks, {
      attempt: tried,
      server: facts,
      receiverName: context.receiverName,
    }),
  )

  const repository = await attemptStep(context, 'reading the repository', (signal) =>
    gatherRepositoryFacts(context, {
      signal,
      server: facts,
      systemIdentifier: 'systemIdentifier' in tried ? tried.systemIdentifier : undefined,
    }),
  )
  if ('value' in repository) checks.push(...judgeAll('repository', repositoryChecks, repository.value))
  else checks.push(...unanswered(repository.error))

  const major = facts ? majorOf(facts.serverVersionNum) : undefined
  const machine = await gatherMachineFacts(context, {
    major,
    preloads: facts?.settings.get('shared_preload_libraries'),
  })
  checks.push(...judgeAll('machine', machineChecks, machine))
  const spool = 'value' in repository ? repository.value.spool : await spoolAlone(context)
  checks.push(...judgeAll('machine', spoolChecks(spool), spool))
  return summarise(checks)
}

function attemptStep<T>(
  context: DoctorContext,
  what: string,
  step: (signal: AbortSignal) => Promise<T>,
): Promise<Attempt<T>> {
  const hint = 'Check network and firewall, or give it longer: retake doctor --timeout 60'
  return attempt(step, { limitMs: context.stepLimitMs, what, hint, signal: context.signal })
}

async function askServer(context: DoctorContext, signal: AbortSignal): Promise<ServerFacts> {
  await using sql = await openSql(context.settings.target(), { signal, applicationName: 'retake doctor' })
  return await gatherServerFacts(sql, {
    slotName: context.slotName,
    nowMs: () => context.settings.clock.now().getTime(),
  })
}

async function askReplication(context: DoctorContext, signal: AbortSignal): Promise<ReplicationAttempt> {
  await using replication = await openReplication(context.settings.target(), {
    signal,
    applicationName: 'retake doctor',
  })
  const { systemIdentifier } = await replication.identifySystem()
  return { mode: replication.mode, systemIdentifier }
}

function reachable(server: Attempt<ServerFacts>): Verdict {
  if ('value' in server) return passed('The server answers.')
  return failed(server.error.message, server.error.hint ?? 'Look at the log of the server.')
}

function judgeAll<Facts>(
  area: CheckArea,
  checks: readonly Check<Facts>[],
  facts: Facts | undefined,
  without = 'Not known.',
): CheckResult[] {
  return checks.map(({ id, title, judge }) => ({
    id,
    area,
    title,
    ...(facts === undefined ? skipped(without) : judge(facts)),
  }))
}

/** The repository did not answer: what can be seen without it. */
function spoolAlone({ settings }: DoctorContext): Promise<SpoolFacts> {
  return gatherSpoolFacts(settings, { retake: undefined, dataDirectory: undefined })
}

function unanswered(error: RetakeError): CheckResult[] {
  return judgeAll('repository', repositoryChecks, undefined, 'The repository did not answer.').map((check, index) =>
    index === 0 ? { ...check, ...failed(error.message, error.hint ?? 'Check the storage of the repository.') } : check,
  )
}

function summarise(checks: readonly CheckResult[]): DoctorReport {
  const counts = { passed: 0, failed: 0, warning: 0, skipped: 0, unknown: 0 }
  for (const { state } of checks) counts[state] += 1
  return { checks, counts, healthy: counts.failed === 0 }
}

/** The application_name of the receiver's connection, by which `synchronous_standby_names` knows it. */
const RECEIVER_NAME = 'retake'
const DEFAULT_STEP_LIMIT_MS = 10_000

/**
 * Checks server, repository and machine, and says the exact fix for what is wrong.
 *
 * ```ts
 * const { checks, healthy } = await diagnose({ repo, keyFile, databaseUrl })
 * for (const { title, state, fix } of checks) if (state === 'failed') console.error(title, fix)
 * ```
 */
export async function diagnose(
  options: RetakeOptions,
  limits: { readonly stepLimitMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<DoctorReport> {
  const settings = retakeSettings(options)
  return runDoctor({
    options,
    settings,
    slotName: settings.config.slot ?? defaultSlotName(settings.clusterName),
    receiverName: RECEIVER_NAME,
    stepLimitMs: limits.stepLimitMs ?? DEFAULT_STEP_LIMIT_MS,
    signal: limits.signal,
  })
}
