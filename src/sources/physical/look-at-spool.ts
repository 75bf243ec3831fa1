/** What the spool of a receiver holds, without changing it: for `doctor`, and before a data key is destroyed. */
import { stat } from 'node:fs/promises'
import { systemErrorCode } from '../../base/errors.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { epochOf } from '../../repository/epoch-usage.ts'
import { walPrefix } from '../../repository/wal-layout.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import { loadHeldWal } from './held-wal.ts'
import { type DamagedSpool, LocalSpool, SET_ASIDE, type SpooledWal } from './local-spool.ts'
import { judgeMarker } from './spool-marker.ts'
import { judgeSpooled } from './upload-spool.ts'

export interface SpoolLook {
  /** `empty`: a receiver makes it its own. */
  readonly kind: 'absent' | 'empty' | 'ours'
  /** What the repository does not hold, and takes up when a receiver starts. */
  readonly ahead: readonly { readonly timeline: number; readonly fromLsn: string; readonly toLsn: string }[]
  readonly aheadBytes: number
  /** What has no place in the repository, or cannot be read: a sentence each. */
  readonly stranded: readonly string[]
  /** What receivers have kept aside. */
  readonly setAside: { readonly files: number; readonly bytes: number }
}

/** @throws RetakeError `cluster.foreign`, `config.invalid` when it is no spool of this cluster, `storage.*`, `repo.damaged` */
export async function lookAtSpool(directory: string, cluster: ClusterRepository): Promise<SpoolLook> {
  const nothing = { ahead: [], aheadBytes: 0, stranded: [], setAside: { files: 0, bytes: 0 } }
  if (!(await exists(directory))) return { ...nothing, kind: 'absent' }
  const store = new DirectoryStore(directory)
  const kind = await judgeMarker(store, cluster)
  if (kind === 'empty') return { ...nothing, kind }
  // First the spool: a receiver that is running moves WAL from there into the repository meanwhile.
  const spooled = await collect(directory, cluster)
  const { timelines } = await loadHeldWal(cluster)
  const ahead: { timeline: number; fromLsn: string; toLsn: string }[] = []
  const stranded: string[] = []
  let [aheadBytes, held] = [0, timelines]
  for (const wal of spooled) {
    if ('error' in wal) {
      stranded.push(wal.error.message)
      continue
    }
    const { timeline, beginLsn, endLsn } = wal
    const verdict = judgeSpooled(wal, held)
    if (verdict.kind === 'apart') {
      stranded.push(`${formatLsn(beginLsn)} to ${formatLsn(endLsn)} on timeline ${timeline}: ${verdict.explanation}`)
    } else if (verdict.kind === 'continues') {
      ahead.push({ timeline, fromLsn: formatLsn(verdict.fromLsn), toLsn: formatLsn(endLsn) })
      aheadBytes += Number(endLsn - verdict.fromLsn)
      // The next stretch continues this one.
      held = held.map((one) => (one.timeline === timeline ? { ...one, endLsn: endLsn as Lsn } : one))
    }
  }
  return { kind, ahead, aheadBytes, stranded, setAside: await measureSetAside(store) }
}

/** What is being deleted while it is read looks damaged, and is gone at the second look. */
async function collect(directory: string, cluster: ClusterRepository): Promise<(SpooledWal | DamagedSpool)[]> {
  await using spool = LocalSpool.look(directory, cluster)
  const first = await Array.fromAsync(spool.held())
  return first.some((wal) => 'error' in wal) ? await Array.fromAsync(spool.held()) : first
}

async function measureSetAside(store: DirectoryStore): Promise<SpoolLook['setAside']> {
  const sizes = { files: 0, bytes: 0 }
  for await (const { sizeBytes } of store.list(`${SET_ASIDE}/`)) {
    sizes.files += 1
    sizes.bytes += sizeBytes
  }
  return sizes
}

/**
 * Which data keys of the cluster seal what the spool holds; only headers are read.
 * @returns by epoch: whether parts are on their way to the repository, or only kept aside. Empty where there is no spool of this cluster.
 * @throws RetakeError `storage.*` when it cannot be read
 */
export async function readSpoolEpochs(
  directory: string,
  cluster: ClusterRepository,
): Promise<ReadonlyMap<number, 'spooled' | 'set-aside'>> {
  const epochs = new Map<number, 'spooled' | 'set-aside'>()
  if (!(await exists(directory))) return epochs
  const store = new DirectoryStore(directory)
  const spooled = { ...cluster, store }
  const prefix = walPrefix(cluster.facts.name)
  for (const [state, where] of [
    ['set-aside', `${SET_ASIDE}/${prefix}`],
    ['spooled', prefix],
  ] as const) {
    for await (const { key } of store.list(where)) {
      const epoch = await epochOf(spooled, key)
      if (epoch !== undefined) epochs.set(epoch, state)
    }
  }
  return epochs
}

async function exists(directory: string): Promise<boolean> {
  try {
    await stat(directory)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}
