/** A drill from its order to its record. However it ends, the server is stopped, the sandbox removed and a record stored, in this order. */
import path from 'node:path'
import { isRetakeError, type RetakeError, toRetakeError } from '../base/errors.ts'
import { timeOrderedIdAfter } from '../base/ids.ts'
import { currentProcess } from '../base/process-identity.ts'
import { currentActor } from '../engine/keys/actor.ts'
import type { Retake } from '../engine/open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from '../engine/operation.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import {
  DRILL_HOLDER,
  type DrillRecord,
  forgetOldDrills,
  listDrillIds,
  listDrills,
  putDrill,
} from '../repository/drills.ts'
import { registerReader } from '../repository/readers.ts'
import { chooseTarget, RANDOM_TARGET } from './choose-target.ts'
import { DEFAULT_TIME_LIMIT_MS, watchLimits } from './limits.ts'
import { Protocol } from './protocol.ts'
import { MistakenTarget, rehearse } from './rehearse.ts'
import {
  emptySandbox,
  keepSandbox,
  makeSandbox,
  removeSandbox,
  type Sandbox,
  type SandboxMarker,
  writeDraft,
} from './sandbox.ts'
import { killSandboxServer } from './sandbox-server.ts'
import { drillDirectory, sweepDrills } from './sweep.ts'

export interface RunDrillOptions extends OperationOptions {
  /** What to recover: a target as one word (`latest`, an instant with offset, …), or `random`. Default: a moment at random. */
  readonly at?: string | undefined
  /** Also reads every row, and looks every row up in its indexes. Takes as long as there is much data. Default false. */
  readonly deep?: boolean | undefined
  /** Where the sandbox is made; it needs the space of the cluster. Default: the configuration's, else the system's for temporary files. */
  readonly directory?: string | undefined
  /** Leaves the recovered files, with their server stopped. Default false. */
  readonly keep?: boolean | undefined
  /** A role that exists in the cluster. Default: the configured one, `postgres`, `supabase_admin`. */
  readonly role?: string | undefined
  /** The most disk that it may take, bytes. Default: the configuration's, else what is free. */
  readonly maxBytes?: number | undefined
  /** Then it is ended, ms. Default: the configuration's, else six hours. */
  readonly timeLimitMs?: number | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
  /** What asks for it. Asked again, a drill that was carried out is returned, not made once more; one that was interrupted is. */
  readonly request?: string | undefined
  /** Between 0 and 1, 1 excluded: which moment. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** A drill, and where its files are when they were to be kept. */
export interface DrillReport {
  readonly drill: DrillRecord
  readonly kept?: string | undefined
}

/**
 * Rehearses a recovery, a real one: fetches a backup into a sandbox, replays WAL to a moment, looks at what came back, and puts on record what
 * it has shown. The server to protect is not touched. What was found wrong is in the record, whose `outcome` says whether it passed.
 *
 * ```ts
 * const { drill } = await runDrill(retake, { at: 'random' }).result
 * console.log(drill.outcome, drill.rtoMs, drill.checks.filter(({ result }) => result === 'failed'))
 * ```
 * @throws RetakeError by its `result`: `aborted` (recorded as interrupted), `target.*` for a target that cannot be, and what keeps the
 * record from being stored
 */
export function runDrill(retake: Retake, options: RunDrillOptions = {}): Operation<DrillReport> {
  return startOperation(async (context) => {
    const cluster = await retake.cluster()
    const { at = RANDOM_TARGET, request } = options
    // A target that is none is refused before anything is made.
    chooseTarget(at, { windows: [], now: retake.clock.now(), random: 0 })
    const earlier = request === undefined ? undefined : await carriedOut(cluster, request)
    if (earlier) return { drill: earlier }
    const parent =
      options.directory === undefined ? drillDirectory(retake) : path.resolve(retake.directory, options.directory)
    await sweepDrills(retake, parent)
    return await carryOut({ ...context, retake, cluster, options, at, parent })
  }, options)
}

/** Newer ones come first, and a request is repeated soon. */
const LOOKED_THROUGH = 50

async function carriedOut(cluster: ClusterRepository, request: string): Promise<DrillRecord | undefined> {
  for await (const drill of listDrills(cluster, { limit: LOOKED_THROUGH, onDamage: () => {} })) {
    if (drill.request === request && drill.outcome !== 'interrupted') return drill
  }
  return undefined
}

interface Order extends OperationContext {
  readonly retake: Retake
  readonly cluster: ClusterRepository
  readonly options: RunDrillOptions
  readonly at: string
  readonly parent: string
}

async function carryOut(order: Order): Promise<DrillReport> {
  const { retake, cluster, options, parent } = order
  const { clock } = retake
  const id = timeOrderedIdAfter(clock.now(), (await listDrillIds(cluster)).at(-1))
  const { deep = false, by = currentActor(), request } = options
  const { name, serverVersionNum } = cluster.facts
  const protocol = new Protocol({ id, cluster: name, serverVersionNum, by, request, deep }, clock)
  const head = { id, repositoryId: retake.repository.id, cluster: name, beganAt: protocol.beganAt, by, deep }
  const marker: SandboxMarker = {
    ...{ ...head, tool: 'retake drill', process: currentProcess() },
    ...(request === undefined ? {} : { request }),
  }
  const sandbox = await makeSandbox(parent, marker)
  // It is seen from everywhere that a drill runs, and what it reads is not deleted meanwhile.
  await using _reader = await registerReader(cluster, { holder: DRILL_HOLDER, clock, logger: retake.logger })
  const failure = await attempt({ ...order, protocol, sandbox })
  if (failure instanceof MistakenTarget) {
    await removeSandbox(sandbox)
    throw failure.error
  }
  const drill = await settle({ ...order, protocol, sandbox, marker, failure })
  // Somebody wanted it to end; that it is on record does not make it a result.
  if (drill.outcome === 'interrupted' && failure) throw failure
  return { drill, ...(options.keep ? { kept: sandbox.directory } : {}) }
}

interface Rehearsal extends Order {
  readonly protocol: Protocol
  readonly sandbox: Sandbox
}

/** @returns what kept it from being carried out to its end */
async function attempt(order: Rehearsal): Promise<RetakeError | MistakenTarget | undefined> {
  const { retake, options, sandbox, protocol, at, onProgress } = order
  const { config } = retake
  const timeLimitMs = options.timeLimitMs ?? hoursIn(config.drillTimeLimitHours) ?? DEFAULT_TIME_LIMIT_MS
  await using watch = watchLimits({ signal: order.signal, timeLimitMs, directory: sandbox.directory })
  const { signal } = watch
  // A query that runs does not hear of the end; without its server it does.
  const onAbort = () => void killSandboxServer(sandbox).catch(() => {})
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await rehearse({
      ...{ retake, protocol, sandbox, wanted: at, signal, onProgress },
      deep: options.deep === true,
      role: options.role,
      maxBytes: options.maxBytes ?? gigabytesIn(config.drillMaxDiskGigabytes),
      random: options.random ?? Math.random,
    })
    return undefined
  } catch (error) {
    if (signal.aborted) return isRetakeError(signal.reason) ? signal.reason : toRetakeError(signal.reason, 'aborted')
    return error instanceof MistakenTarget ? error : toRetakeError(error)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

const hoursIn = (hours: number | undefined) => (hours === undefined ? undefined : hours * 3_600_000)
const gigabytesIn = (gigabytes: number | undefined) => (gigabytes === undefined ? undefined : gigabytes * 1e9)

/**
 * First nothing is left that runs, then the record is stored, then the directory goes that would have told of the drill: killed anywhere in
 * between, the next one finds the draft and stores it.
 */
async function settle(
  order: Rehearsal & { readonly marker: SandboxMarker; readonly failure: RetakeError | undefined },
): Promise<DrillRecord> {
  const { retake, cluster, options, protocol, sandbox, marker, failure } = order
  order.onProgress({ phase: 'remove', done: 0, unit: 'steps' })
  await protocol.phase('remove', () => (options.keep ? killSandboxServer(sandbox) : emptySandbox(sandbox)))
  const record = protocol.finish(failure)
  await writeDraft(sandbox, record)
  await putDrill(cluster, record)
  if (options.keep) await keepSandbox(sandbox, marker)
  else await removeSandbox(sandbox)
  await forgetOldDrills(cluster, retake.clock)
  return record
}
