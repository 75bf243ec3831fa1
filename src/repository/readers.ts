/**
 * Whoever reads packs for a long time (a restore, a verification) says so, so that nothing condemned is deleted under it. A
 * reader registers first and looks at what is condemned afterwards; pruning condemns first and notes the readers afterwards.
 */
import { type Clock, systemClock } from '../base/clock.ts'
import { isRetakeError, toRetakeError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import { currentProcess } from '../base/process-identity.ts'
import { type Logger, silentLogger } from '../base/progress.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, putSmall, replaceSmall } from './container.ts'
import { readersPrefix } from './layout.ts'
import { evaluateLease, type LeaseRecord, leaseRecordSchema } from './lease-record.ts'
import { decodeMeta } from './meta.ts'

export interface ReaderOptions {
  /** For people: what reads, such as `retake restore`. */
  readonly holder: string
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
}

/** How long a reader counts that cannot be asked and does not renew; it renews three times in that time. */
const TTL_MS = 300_000

/**
 * Registers a reader until it is disposed. A repository that cannot be written to is read all the same: what is condemned
 * then stays for its time of grace alone.
 */
export async function registerReader(cluster: ClusterRepository, options: ReaderOptions): Promise<AsyncDisposable> {
  const { clock = systemClock, logger = silentLogger, holder } = options
  const key = `${readersPrefix(cluster.facts.name)}${randomId(8)}`
  const now = clock.now().toISOString()
  const record: LeaseRecord = {
    token: randomId(8),
    holder,
    process: currentProcess(),
    acquiredAt: now,
    renewedAt: now,
    ttlMs: TTL_MS,
  }
  const name = { key, kind: 'lease' } as const
  try {
    await putSmall(cluster.store, cluster.sealing, { ...name, meta: record })
  } catch (error) {
    logger.warn('The repository cannot be told that it is being read; do not prune it meanwhile.', {
      cause: toRetakeError(error).message,
    })
    return { [Symbol.asyncDispose]: async () => {} }
  }
  let renewal: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    const meta = { ...record, renewedAt: clock.now().toISOString() }
    renewal = replaceSmall(cluster.store, cluster.sealing, { ...name, meta }).catch((error: unknown) => {
      logger.warn('a reader could not be renewed; it will be tried again', { error: toRetakeError(error).message })
    })
  }, TTL_MS / 3)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await renewal
      await cluster.store.delete(key, { copies: 'reachable' }).catch((error: unknown) => {
        logger.warn('a reader could not be removed; it ends by itself', { error: toRetakeError(error).message })
      })
    },
  }
}

/** The keys of the readers that live, or of which that cannot be ruled out; the records of others are deleted. */
export async function listReaders(
  cluster: ClusterRepository,
  options: { readonly clock?: Clock | undefined } = {},
): Promise<string[]> {
  const { clock = systemClock } = options
  const living: string[] = []
  for await (const { key, record } of storedReaders(cluster)) {
    // Whoever cannot be read may still be reading.
    if (record === undefined || isLiving(record, clock)) living.push(key)
    else await cluster.store.delete(key, { copies: 'reachable' })
  }
  return living
}

/** Who reads just now, as they said; changes nothing. A record that cannot be read tells of nobody. */
export async function readReaders(
  cluster: ClusterRepository,
  options: { readonly clock: Clock },
): Promise<LeaseRecord[]> {
  const living: LeaseRecord[] = []
  for await (const { record } of storedReaders(cluster)) {
    if (record && isLiving(record, options.clock)) living.push(record)
  }
  return living
}

function isLiving(record: LeaseRecord, clock: Clock): boolean {
  return evaluateLease(record, { now: clock.now(), observer: currentProcess() }).state === 'held'
}

/** Without a record: it cannot be read. */
async function* storedReaders(
  cluster: ClusterRepository,
): AsyncGenerator<{ readonly key: string; readonly record: LeaseRecord | undefined }> {
  const prefix = readersPrefix(cluster.facts.name)
  for await (const { key } of cluster.store.list(prefix)) {
    if (!isReaderName(key.slice(prefix.length))) continue
    const name = { key, kind: 'lease' } as const
    try {
      const meta = await getSmall(cluster.store, cluster.sealing, name)
      if (meta !== undefined) yield { key, record: decodeMeta(leaseRecordSchema, meta, name) }
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged')) throw error
      yield { key, record: undefined }
    }
  }
}

/** Whether this can be the name of an object below `readers/`. */
export function isReaderName(name: string): boolean {
  return /^[0-9a-f]{16}$/.test(name)
}
