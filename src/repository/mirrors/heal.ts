/**
 * Healing: what verification finds damaged or missing in one copy is put back from another one in which every byte of it is authentic. Damaged bytes
 * are kept beside, as evidence (M7).
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import type { ProgressListener } from '../../base/progress.ts'
import { isObjectKey } from '../../storage/keys.ts'
import type { Copy } from '../../storage/mirrored/copy.ts'
import { EVIDENCE_PREFIX } from '../../storage/mirrored/copy-record.ts'
import { storeOfCopy } from '../../storage/mirrored/copy-store.ts'
import { copyObject } from '../../storage/mirrored/move-object.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { readLeaseHolder } from '../lease.ts'
import { type Repository, repositoryAt } from '../repository.ts'
import { verifyRepository } from '../verify.ts'
import { parseWalKey } from '../wal-layout.ts'
import { Authenticator, clusterOf } from './authenticity.ts'
import { mirroredStoreOf } from './sync.ts'
import { takeOver } from './take-over.ts'

export interface HealOptions {
  /** Opened over all of its copies. */
  readonly repository: Repository
  /** Only these copies are healed. Default: all that can be reached. */
  readonly copies?: readonly string[] | undefined
  /** How thoroughly damage is looked for; see `verifyRepository`. What heals is always proven in full. */
  readonly depth: 'quick' | 'deep'
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
  readonly workers?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly clock?: Clock | undefined
}

export interface HealedObject {
  readonly object: string
  readonly was: 'damaged' | 'missing'
  /** The copy that it was taken from. */
  readonly from: string
  /** Where the damaged bytes are kept, in the same copy. */
  readonly evidence?: string | undefined
}

export interface CopyHealing {
  readonly name: string
  readonly healed: readonly HealedObject[]
  /** No other copy that can be reached has them whole. */
  readonly lost: readonly { readonly object: string; readonly was: 'damaged' | 'missing' }[]
  /** Parts of a tail that a receiver may be writing just now; they are replaced by the finished segment. */
  readonly left: readonly string[]
}

/** @throws RetakeError `config.invalid` when there is but one copy; `storage.failed`, `aborted` */
export async function healRepository(options: HealOptions): Promise<CopyHealing[]> {
  const { repository } = options
  const { copies } = mirroredStoreOf(repository)
  const states = await copies.load({ all: true })
  const present = copies.copies.filter((copy) => states[copy.index]?.state === 'present')
  const authenticator = new Authenticator(repository)
  const reports: CopyHealing[] = []
  for (const copy of present) {
    if (!(options.copies?.includes(copy.name) ?? true)) continue
    const others = present.filter((other) => other !== copy)
    reports.push(await healCopy(copy, { options, others, authenticator }))
  }
  return reports
}

interface HealContext {
  readonly options: HealOptions
  readonly others: readonly Copy[]
  readonly authenticator: Authenticator
}

async function healCopy(copy: Copy, context: HealContext): Promise<CopyHealing> {
  const { options, authenticator } = context
  const store = storeOfCopy(copy)
  const { depth, workers, signal, onProgress, clock = systemClock } = options
  const alone = repositoryAt(options.repository, store)
  const { findings } = await verifyRepository({ repository: alone, depth, workers, signal, onProgress, clock })
  const healed: HealedObject[] = []
  const lost: CopyHealing['lost'][number][] = []
  const left: string[] = []
  const suspects = new Set(findings.filter(({ severity }) => severity !== 'notice').map(({ object }) => object))
  for (const object of suspects) {
    if (!isObjectKey(object)) continue
    const { state: was } = await authenticator.judge(store, object, { depth: 'deep' })
    if (was !== 'damaged' && was !== 'missing') continue
    if (await isBeingWritten(context, object)) {
      left.push(object)
      continue
    }
    const from = await findWhole(context, object)
    if (from === undefined) lost.push({ object, was })
    else healed.push(await heal(object, { was, from, to: store, dryRun: options.dryRun ?? false }))
  }
  return { name: copy.name, healed, lost: lost.filter(({ object }) => isStored(object)), left }
}

/** A finding may name what was never an object, such as a folder. */
function isStored(object: string): boolean {
  return !object.endsWith('/')
}

async function findWhole(context: HealContext, key: string): Promise<Copy | undefined> {
  for (const copy of context.others) {
    const { state } = await context.authenticator.judge(storeOfCopy(copy), key, { depth: 'deep' })
    if (state === 'authentic') return copy
  }
  return undefined
}

async function heal(
  object: string,
  options: {
    readonly was: 'damaged' | 'missing'
    readonly from: Copy
    readonly to: ObjectStore
    readonly dryRun: boolean
  },
): Promise<HealedObject> {
  const { was, from, to, dryRun } = options
  const source = storeOfCopy(from)
  const evidence = was === 'damaged' ? `${EVIDENCE_PREFIX}${object}` : undefined
  const report = { object, was, from: from.name, ...(evidence ? { evidence } : {}) }
  if (dryRun) return report
  if (evidence === undefined) {
    const info = await source.head(object)
    if (info) await copyObject(source, to, info)
    return report
  }
  const info = await to.head(object)
  if (info) await copyObject(to, to, { ...info, toKey: evidence })
  await takeOver(source, to, object)
  return report
}

async function isBeingWritten(context: HealContext, key: string): Promise<boolean> {
  const name = clusterOf(key)
  if (name === undefined || parseWalKey(name, key)?.type !== 'tail') return false
  const cluster = await context.authenticator.cluster(name)
  if (cluster === undefined) return true
  return (await readLeaseHolder(cluster, { role: 'wal', clock: context.options.clock })) !== undefined
}
