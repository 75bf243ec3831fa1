/** Runs, as the API shows them and asks for them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Run as ShownRun, StartRun } from '../../api/contract/runs.ts'
import { decodeCursor, encodeCursor } from '../../api/pages.ts'
import type { ActionCall, Caller, RunServices } from '../../api/services.ts'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { listRuns, type Run, type RunRequest, type RunState, readRun } from '../../control/runs.ts'
import type { Server } from '../parts.ts'
import type { ServiceParts } from './parts.ts'

const WATCH_EVERY_MS = 500
const over: readonly RunState[] = ['succeeded', 'failed', 'cancelled']

/** A run that waits for its next attempt is shown as queued. */
const statesOf = (state: ShownRun['state']): readonly RunState[] =>
  state === 'queued' ? ['queued', 'waiting'] : [state]

export function runServices(
  { db, clusters }: ServiceParts,
  { startRun, cancelRun }: Pick<Server, 'startRun' | 'cancelRun'>,
): RunServices {
  const read = async (id: string) => {
    const run = await readRun(db, id)
    return run && showRun(run)
  }
  return {
    listRuns: async ({ cluster, task, state, cursor, limit }) => {
      const [at, id = ''] = cursor === undefined ? [] : decodeCursor(cursor)
      const found = await listRuns(db, {
        cluster,
        task,
        states: state && statesOf(state),
        before: at === undefined ? undefined : { createdAt: new Date(at), id },
        limit: limit + 1,
      })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return {
        items: items.map(showRun),
        ...(last && found.length > limit ? { next: encodeCursor([last.createdAt.toISOString(), last.id]) } : {}),
      }
    },
    readRun: read,
    startRun: async ({ cluster, wanted }, call) => {
      if (!clusters.has(cluster)) throw noCluster(cluster)
      const request = requestOf(cluster, wanted, call)
      await startRun(request)
      const run = await read(request.id)
      if (!run) throw new Error(`assertion failed: the run ${request.id} was put on record`)
      return run
    },
    cancelRun: async (id, { by }) => {
      const run = await readRun(db, id)
      if (!run) return undefined
      if (!(await cancelRun({ id, by: nameOf(by) }))) {
        throw new RetakeError('api.conflict', 'The run is over, so it cannot be stopped.')
      }
      return read(id)
    },
    async *watchRun(id, { after, signal }) {
      let seen = after
      for (;;) {
        const run = await readRun(db, id)
        if (!run) return
        const version = `${run.changedAt.getTime()}-${run.state}`
        if (version !== seen) yield { id: version, value: showRun(run) }
        seen = version
        if (over.includes(run.state)) return
        await sleep(WATCH_EVERY_MS, undefined, { signal }).catch(() => {})
        if (signal.aborted) return
      }
    },
  }
}

/** The key with which the same may be asked for again is the id, so that it is begun once, also after a crash. */
function requestOf(cluster: string, wanted: StartRun, { by, idempotencyKey }: ActionCall): RunRequest {
  const { task, ...options } = wanted
  return { id: idempotencyKey ?? randomId(), cluster, task, options, startedBy: nameOf(by) }
}

const nameOf = ({ kind, name }: Caller) => (name === undefined ? kind : `${kind} ${name}`)

export function noCluster(name: string): RetakeError {
  return new RetakeError('cluster.missing', `This server does not look after a cluster "${name}".`, {
    hint: 'GET /api/v1/clusters lists those that it does.',
  })
}

function showRun(run: Run): ShownRun {
  const { phase, ...progress } = run.progress ?? {}
  const [kind = 'server', name] = run.startedBy.split(/ (.*)/)
  const { error } = run
  return {
    id: run.id,
    cluster: run.cluster,
    task: run.task,
    state: run.state === 'waiting' ? 'queued' : run.state,
    startedBy: { kind: kind as ShownRun['startedBy']['kind'], ...(name === undefined ? {} : { name }) },
    requestedAt: run.createdAt.toISOString(),
    ...(run.beganAt ? { startedAt: run.beganAt.toISOString() } : {}),
    ...(run.endedAt ? { endedAt: run.endedAt.toISOString() } : {}),
    ...(run.state === 'cancelled' && run.endedAt ? { cancelRequestedAt: run.endedAt.toISOString() } : {}),
    ...(phase === undefined ? {} : { phase }),
    ...('unit' in progress ? { progress } : {}),
    ...(run.attempts > 0 ? { attempt: run.attempts } : {}),
    ...(run.result ? { result: run.result as Record<string, unknown> } : {}),
    ...(error
      ? {
          error: {
            code: error.code,
            message: error.message,
            ...(error.hint === undefined ? {} : { hint: error.hint }),
          },
        }
      : {}),
  }
}
