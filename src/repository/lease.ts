/**
 * One writer per cluster and role. A lease is an object `leases/<role>/<generation>` that only one can create; it is renewed
 * while held, deleted when released, and taken over with the next generation when its holder has ended or its time is over.
 * The stored record is the truth: whoever's token stands in the highest generation holds the lease, and nobody else commits.
 */

import { type Clock, systemClock } from '../base/clock.ts'
import { abortedError, isRetakeError, RetakeError, toRetakeError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import { currentProcess } from '../base/process-identity.ts'
import { type Logger, silentLogger } from '../base/progress.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, putSmall, replaceSmall } from './container.ts'
import { hex, leasePrefix } from './layout.ts'
import { evaluateLease, type LeaseRecord, leaseRecordSchema } from './lease-record.ts'
import { decodeMeta } from './meta.ts'

/** `prune` guards everything that rewrites or deletes what is stored: pruning, repacking, re-encryption. */
export const leaseRoles = ['backup', 'wal', 'prune'] as const

export type LeaseRole = (typeof leaseRoles)[number]

export interface LeaseOptions {
  readonly role: LeaseRole
  /** For people who are refused: what holds it, such as `retake backup`. */
  readonly holder: string
  /** How long it counts without a renewal; it is renewed three times in that time. Default 60,000. */
  readonly ttlMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
}

const DEFAULT_TTL_MS = 60_000

export interface Lease extends AsyncDisposable {
  /** Fires with `repo.lease-lost` when the lease is lost while held. */
  readonly signal: AbortSignal
  /** Asks the storage. Called right before a commit. @throws RetakeError `repo.lease-lost` */
  assertHeld(): Promise<void>
}

/**
 * Becomes the one writer of a role. Disposing releases it.
 * @throws RetakeError `repo.locked` naming who holds it
 */
export async function acquireLease(cluster: ClusterRepository, options: LeaseOptions): Promise<Lease> {
  const context = contextOf(cluster, options)
  for (;;) {
    await cluster.sealing.refresh?.()
    const lease = await tryAcquire(context, options)
    if (lease) return lease
  }
}

/** Undefined when the keys of the cluster were rotated meanwhile. */
async function tryAcquire(context: Context, options: LeaseOptions): Promise<Lease | undefined> {
  const { cluster } = context
  const stored = await readLeases(context)
  for (const { record } of stored) assertFree(context, record)
  const generation = (stored.at(-1)?.generation ?? 0) + 1
  const now = context.clock.now().toISOString()
  const record: LeaseRecord = {
    token: randomId(8),
    holder: options.holder,
    process: context.observer,
    acquiredAt: now,
    renewedAt: now,
    ttlMs: options.ttlMs ?? DEFAULT_TTL_MS,
    epoch: cluster.sealing.epoch,
  }
  const name = leaseName(context, generation)
  if (!(await putSmall(cluster.store, cluster.sealing, { ...name, meta: record }))) throw await lockedByWinner(context)
  await stepBackOnError(context, name.key, () => refuseRivals(context, generation))
  // Asked again now that others can see us: whoever retires an epoch looks for leases of it, and whoever shreds, for any.
  await stepBackOnError(context, name.key, async () => cluster.sealing.refresh?.())
  if (cluster.sealing.epoch !== record.epoch) {
    await cluster.store.delete(name.key, { copies: 'reachable' })
    return undefined
  }
  for (const old of stored) {
    context.logger.warn('took over a lease that its holder left behind', {
      role: context.role,
      host: old.record.process.host,
      pid: old.record.process.pid,
      since: old.record.acquiredAt,
    })
    await cluster.store.delete(old.key, { copies: 'reachable' })
  }
  return new HeldLease(context, { generation, record })
}

/** Who holds a role just now, or undefined. @throws RetakeError `repo.damaged` */
export async function readLeaseHolder(
  cluster: ClusterRepository,
  options: { readonly role: LeaseRole; readonly clock?: Clock | undefined },
): Promise<LeaseRecord | undefined> {
  const context = contextOf(cluster, options)
  const stored = await readLeases(context)
  const now = context.clock.now()
  return stored.findLast(({ record }) => evaluateLease(record, { now, observer: context.observer }).state === 'held')
    ?.record
}

/**
 * Whoever listed before another release and created after a third acquisition holds a generation beside a living one.
 * The one that comes later sees the other here and steps back.
 */
async function refuseRivals(context: Context, own: number): Promise<void> {
  for (const rival of await readLeases(context)) {
    if (rival.generation !== own) assertFree(context, rival.record)
  }
}

async function stepBackOnError(context: Context, key: string, check: () => Promise<void>): Promise<void> {
  try {
    await check()
  } catch (error) {
    await context.cluster.store.delete(key, { copies: 'reachable' })
    throw error
  }
}

class HeldLease implements Lease {
  readonly #context: Context
  readonly #generation: number
  readonly #key: string
  readonly #lost = new AbortController()
  #record: LeaseRecord
  #renewedMonotonicMs: number
  #timer: NodeJS.Timeout | undefined
  #renewal: Promise<void> = Promise.resolve()
  #released = false

  constructor(context: Context, held: { readonly generation: number; readonly record: LeaseRecord }) {
    this.#context = context
    this.#generation = held.generation
    this.#key = leaseName(context, held.generation).key
    this.#record = held.record
    this.#renewedMonotonicMs = context.clock.monotonicMs()
    this.#schedule()
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  async assertHeld(): Promise<void> {
    if (this.#released) throw abortedError()
    if (!this.#lost.signal.aborted && !(await this.#isOurs())) this.#lose('another process has taken it over')
    if (this.#lost.signal.aborted) throw this.#lost.signal.reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return
    this.#released = true
    clearTimeout(this.#timer)
    await this.#renewal
    // Only what is still ours may be deleted; after a takeover the object is gone, or another's.
    if (!this.#lost.signal.aborted && (await this.#isOurs())) {
      await this.#context.cluster.store.delete(this.#key, { copies: 'reachable' })
    }
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#renewal = this.#renew()
    }, this.#record.ttlMs / 3)
    this.#timer.unref()
  }

  async #renew(): Promise<void> {
    const { cluster, clock, logger, role } = this.#context
    try {
      const ours = await this.#isOurs()
      if (this.#released) return
      if (!ours) return this.#lose('another process has taken it over')
      const record = { ...this.#record, renewedAt: clock.now().toISOString() }
      const begunMs = clock.monotonicMs()
      // Checked last before writing: a process that was suspended must not renew what has expired meanwhile.
      if (this.#isExpired()) return this.#lose('it could not be renewed in time')
      await replaceSmall(cluster.store, cluster.sealing, { key: this.#key, kind: 'lease', meta: record })
      this.#record = record
      this.#renewedMonotonicMs = begunMs
    } catch (error) {
      if (this.#isExpired())
        return this.#lose(`it could not be renewed in time (${toRetakeError(error).message})`, error)
      logger.warn('a lease could not be renewed; it will be tried again', { role, error: String(error) })
    }
    if (!this.#released) this.#schedule()
  }

  #isExpired(): boolean {
    return this.#context.clock.monotonicMs() - this.#renewedMonotonicMs >= this.#record.ttlMs
  }

  async #isOurs(): Promise<boolean> {
    const newest = (await readLeases(this.#context)).at(-1)
    return newest?.generation === this.#generation && newest.record.token === this.#record.token
  }

  #lose(reason: string, cause?: unknown): void {
    const { role, cluster } = this.#context
    this.#lost.abort(
      new RetakeError(
        'repo.lease-lost',
        `The ${words[role]} lease of "${cluster.facts.name}" was lost: ${reason}. Nothing was committed since.`,
        {
          hint: 'Check that nobody else runs it, then start again.',
          details: { role },
          cause,
        },
      ),
    )
  }
}

interface Context {
  readonly cluster: ClusterRepository
  readonly role: LeaseRole
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: ReturnType<typeof currentProcess>
}

const words = { backup: 'backup', wal: 'WAL', prune: 'pruning' } as const
const workers = { backup: 'backup', wal: 'WAL receiver', prune: 'pruning' } as const

function contextOf(
  cluster: ClusterRepository,
  options: { readonly role: LeaseRole; readonly clock?: Clock | undefined; readonly logger?: Logger | undefined },
): Context {
  const { role, clock = systemClock, logger = silentLogger } = options
  return { cluster, role, clock, logger, observer: currentProcess() }
}

function leaseName(context: Context, generation: number) {
  const prefix = leasePrefix(context.cluster.facts.name, context.role)
  return { key: `${prefix}${hex(generation, 16)}`, kind: 'lease' } as const
}

interface StoredLease {
  readonly key: string
  readonly generation: number
  readonly record: LeaseRecord
}

/** In the order of generations; normally none or one. */
async function readLeases(context: Context): Promise<StoredLease[]> {
  const { store, sealing, facts } = context.cluster
  const prefix = leasePrefix(facts.name, context.role)
  const leases: StoredLease[] = []
  for await (const { key } of store.list(prefix)) {
    const name = { key, kind: 'lease' } as const
    try {
      const meta = await getSmall(store, sealing, name)
      if (meta === undefined) continue
      const record = decodeMeta(leaseRecordSchema, meta, name)
      leases.push({ key, generation: Number.parseInt(key.slice(prefix.length), 16), record })
    } catch (error) {
      throw isRetakeError(error, 'repo.damaged') ? unreadable(context, { key, cause: error }) : error
    }
  }
  return leases
}

/** Nobody can tell whose it was; that is for a person to find out. */
function unreadable(context: Context, lease: { readonly key: string; readonly cause: RetakeError }): RetakeError {
  const what = workers[context.role]
  return new RetakeError('repo.damaged', lease.cause.message, {
    hint: `If no ${what} of "${context.cluster.facts.name}" is running anywhere, delete ${lease.key} from ${context.cluster.store.url}.`,
    details: lease.cause.details,
    cause: lease.cause,
  })
}

function assertFree(context: Context, record: LeaseRecord): void {
  const state = evaluateLease(record, { now: context.clock.now(), observer: context.observer })
  if (state.state === 'held') throw locked(context, { record, freeInMs: state.freeInMs })
}

async function lockedByWinner(context: Context): Promise<RetakeError> {
  const winner = (await readLeases(context)).at(-1)
  return locked(context, { record: winner?.record, freeInMs: winner?.record.ttlMs ?? 0 })
}

function locked(
  context: Context,
  held: { readonly record: LeaseRecord | undefined; readonly freeInMs: number },
): RetakeError {
  const { role, cluster } = context
  const { record } = held
  const who = record
    ? `${record.holder} (process ${record.process.pid} on ${record.process.host}, since ${record.acquiredAt})`
    : 'another process'
  const what = role === 'prune' ? 'Pruning or re-encryption' : `A ${workers[role]}`
  return new RetakeError('repo.locked', `${what} of "${cluster.facts.name}" is running already: ${who}.`, {
    hint: `Wait until it has ended. If it is dead, its claim ends by itself within ${Math.ceil(held.freeInMs / 1000)} s.`,
    details: {
      role,
      cluster: cluster.facts.name,
      ...(record ? { host: record.process.host, pid: record.process.pid, since: record.acquiredAt } : {}),
    },
  })
}
