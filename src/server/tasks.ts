/** What a run does: the verbs of the engine, each harmless to do twice. */
import type { Kysely } from 'kysely'
import { RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { recordNotices } from '../control/outbox.ts'
import type { RunRequest } from '../control/runs.ts'
import { type DrillReport, runDrill } from '../drills/run.ts'
import { backUp } from '../engine/backup.ts'
import type { Retake } from '../engine/open.ts'
import { prune } from '../engine/prune.ts'
import { verify } from '../engine/verify.ts'
import { policyOf, type ReadPolicy } from '../monitor/alerts/read-policy.ts'
import { lookOnce } from './looking.ts'
import type { ManagedCluster } from './managed-cluster.ts'
import { guardReading } from './stress.ts'
import { successNotice } from './success.ts'

export interface TaskOptions {
  readonly signal: AbortSignal
  readonly onProgress: ProgressListener
}

interface TaskPlace {
  readonly db: Kysely<ControlTables>
  readonly clusters: ReadonlyMap<string, ManagedCluster>
  readonly alerts: ReadPolicy
}

/** Also tells those who want to hear that a backup went well; it is told once, however often this is done. */
export async function performAndTell(place: TaskPlace, request: RunRequest, options: TaskOptions): Promise<object> {
  const result = await perform(place, request, options)
  const { successes } = place.alerts
  if (request.task === 'backup' && successes.length > 0) {
    const notice = successNotice(request, { result, now: new Date() })
    await recordNotices(place.db, [{ notice, channels: successes }])
  }
  return result
}

/** Does the work of a run; harmless to do twice. @returns what is kept of it, plain data */
async function perform(
  { db, clusters, alerts }: TaskPlace,
  request: RunRequest,
  options: TaskOptions,
): Promise<object> {
  const cluster = clusters.get(request.cluster)
  if (!cluster) throw unknownCluster(request.cluster)
  if (request.task === 'check') {
    const policy = policyOf(alerts, cluster.name)
    const { verdict, score } = await lookOnce(cluster, { db, policy, signal: options.signal })
    return { verdict, band: score.band, ...(score.value === undefined ? {} : { score: score.value }) }
  }
  return verbs[request.task](await cluster.open(), request, options)
}

function unknownCluster(name: string): RetakeError {
  return new RetakeError('config.invalid', `This server does not know a cluster "${name}" any more.`, {
    hint: 'Add its configuration to the file of the server, or cancel the run.',
    retry: 'later',
  })
}

type Verb = (retake: Retake, request: RunRequest, options: TaskOptions) => Promise<object>

const verbs: Readonly<Record<Exclude<RunRequest['task'], 'check'>, Verb>> = {
  backup: async (retake, { id, options: { type, label }, dueAt }, how) => {
    // What a person asks for is wanted now, whatever the server has to do.
    await using guard = dueAt === undefined ? undefined : await guardReading(retake, { ...how, logger: retake.logger })
    const watched = guard ? { gate: guard.gate.pass, onProgress: guard.onProgress } : {}
    // Asked again after a crash between the commit and its note, the engine answers with the backup that it made.
    const made = await backUp(retake, { ...how, ...watched, type, label, request: id }).result
    const { backup, wal, durationMs } = made
    const heldBackMs = Math.round(guard?.gate.heldMs ?? 0)
    return {
      ...{ backupId: backup.backupId, type: backup.type, storedBytes: backup.storedBytes, wal, durationMs },
      ...(heldBackMs > 0 ? { heldBackMs } : {}),
    }
  },
  verify: async (retake, { options: { deep, backupId } }, how) => {
    const result = await verify(retake, { ...how, deep, backupId }).result
    const { ok, backups, packs, segments, bytesRead, findings } = result
    if (!ok) throw damaged(findings.length)
    return { backups, packs, segments, bytesRead }
  },
  prune: async (retake, { options: { dryRun } }, how) => {
    const { givenUp, deleted } = await prune(retake, { ...how, dryRun }).result
    return { givenUp: givenUp.backups, deleted, ...(dryRun ? { dryRun } : {}) }
  },
  drill: async (retake, { id, options: { at, deep }, startedBy }, how) => {
    // Asked again after a crash, a drill that has a record is not made once more; what an interrupted one left is removed first.
    const { drill } = await runDrill(retake, { ...how, at, deep, by: startedBy, request: id }).result
    if (drill.outcome !== 'passed') throw notPassed(drill)
    const { rtoMs, rpoMs, target } = drill
    return { drillId: drill.id, outcome: drill.outcome, target: target?.asked, rtoMs, rpoMs }
  },
}

function notPassed({ id, outcome, checks, error }: DrillReport['drill']): RetakeError {
  const hint = error?.hint ?? `Look at it: retake drill show ${id}`
  const details = { drillId: id }
  if (outcome === 'inconclusive') {
    return new RetakeError('drill.inconclusive', error?.message ?? 'The drill came to no result.', { hint, details })
  }
  const failures = checks.filter(({ result }) => result === 'failed').map(({ title, detail }) => `${title}: ${detail}`)
  const why = failures.length > 0 ? failures.join(' ') : (error?.message ?? '')
  return new RetakeError('drill.failed', `The rehearsed recovery failed. ${why}`, { hint, details })
}

function damaged(findings: number): RetakeError {
  return new RetakeError('verify.damaged', `The verification found damage (${findings} findings).`, {
    hint: 'Run retake verify --deep: it names each damaged object and what is lost with it. Then take a full backup: retake backup --type full.',
  })
}
