/**
 * One pass over two copies: what either lacks is copied to the other, in an order that keeps R1 in both (M1), with memory for a few objects. May
 * be killed at any point and run again (M9). The order is described in `docs/design/mirrors.md`.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { isRetakeError } from '../../base/errors.ts'
import { copyObject } from '../../storage/mirrored/move-object.ts'
import type { ObjectInfo } from '../../storage/object-store.ts'
import { HEADER_BYTES } from '../container-layout.ts'
import { PACKS_PREFIX, REPOSITORY_KEY } from '../layout.ts'
import { compareListings, listChildren, type Sighting } from './listing.ts'
import type { CopySide, PassContext } from './pass-context.ts'
import { syncTails } from './sync-tails.ts'
import { takeOver } from './take-over.ts'

/** So many objects are on their way at once, each with at most 4 MiB of memory. */
const PARALLEL = 6
/** Sealing is never further behind than a few segments, so only the newest can have been sealed twice. */
const RECENT_SEGMENTS = 64

export async function runPass(context: PassContext): Promise<void> {
  const { primary, other } = context
  const stores = [primary.store, other.store]
  const clusters = (await listChildren(stores, 'clusters/')).map((name) => name.replace(/\/$/, ''))
  // Taken first: what it speaks of is then copied before it.
  const manifests: Sighting[] = []
  const receipts: Sighting[] = []
  const positions = new Map<string, Uint8Array | undefined>()
  for (const cluster of clusters) {
    const folder = `clusters/${cluster}/`
    positions.set(cluster, await primary.store.get(`${folder}wal/position`))
    // Receipts before manifests: each receipt that is seen has its manifest among those listed after it.
    for await (const one of compareListings(primary.store, other.store, `${folder}runs/`)) {
      if (one.key.endsWith('.done')) keepDiffering(receipts, one)
    }
    for await (const one of compareListings(primary.store, other.store, `${folder}backups/`)) {
      keepDiffering(manifests, one)
    }
  }
  await syncPrefix(context, 'keys/')
  await syncPrefix(context, REPOSITORY_KEY)
  for (const cluster of clusters) {
    const folder = `clusters/${cluster}/`
    await syncPrefix(context, `${folder}keys/`, { compare: 'headers' })
    await syncPrefix(context, `${folder}cluster`, { accept: (key) => key === `${folder}cluster`, compare: 'headers' })
    await syncPrefix(context, `${folder}runs/`, { accept: (key) => !key.endsWith('.done'), compare: 'headers' })
    await syncPrefix(context, `${folder}condemned/`)
  }
  await syncPrefix(context, PACKS_PREFIX)
  for (const cluster of clusters) {
    await syncWal(context, `clusters/${cluster}/`)
    await syncUnknownAreas(context, `clusters/${cluster}/`)
    await syncChanging(context, `clusters/${cluster}/verified/`)
  }
  const areas = await listChildren(stores, '')
  for (const area of areas) if (!KNOWN_AREAS.has(area)) await syncPrefix(context, area)
  for (const late of [manifests, receipts]) await inParallel(context, late, (one) => settleOne(context, one))
  for (const cluster of clusters) {
    await syncPosition(context, `clusters/${cluster}/wal/position`, positions.get(cluster))
    await syncChanging(context, `clusters/${cluster}/index/`)
    for (const area of ENDING_AREAS) await syncEnding(context, `clusters/${cluster}/${area}`)
  }
}

const KNOWN_AREAS = new Set(['keys/', REPOSITORY_KEY, 'clusters/', PACKS_PREFIX, 'copies/'])
const ENDING_AREAS = ['leases/', 'readers/']
const KNOWN_CLUSTER_AREAS = new Set([
  'backups/',
  'cluster',
  'condemned/',
  'index/',
  'keys/',
  'runs/',
  'verified/',
  'wal/',
  ...ENDING_AREAS,
])

interface PrefixOptions {
  readonly accept?: (key: string) => boolean
  /** Objects that are sealed again when their writer is not sure: equal sizes may hide different bytes. */
  readonly compare?: 'headers'
}

async function syncPrefix(context: PassContext, prefix: string, options: PrefixOptions = {}): Promise<void> {
  const { primary, other } = context
  await inParallel(context, accepted(compareListings(primary.store, other.store, prefix), options), async (one) => {
    if (one.left && one.right && options.compare) await compareHeaders(context, one)
    await settleOne(context, one)
  })
}

async function* accepted(sightings: AsyncIterable<Sighting>, options: PrefixOptions): AsyncGenerator<Sighting> {
  for await (const one of sightings) if (options.accept?.(one.key) ?? true) yield one
}

/** Histories and ranges of a timeline before its segments; a segment that came meanwhile brings its range with it. */
async function syncWal(context: PassContext, folder: string): Promise<void> {
  const { primary, other } = context
  const timelines = (await listChildren([primary.store, other.store], `${folder}wal/`)).filter((name) =>
    /^[0-9A-F]{8}\/$/.test(name),
  )
  const small = async (timeline: string) => {
    await syncPrefix(context, `${folder}wal/history/`, { compare: 'headers' })
    await syncPrefix(context, `${folder}wal/${timeline}ranges/`, { compare: 'headers' })
  }
  for (const timeline of timelines) {
    const prefix = `${folder}wal/${timeline}`
    await small(timeline)
    let batch: Sighting[] = []
    let recent: Sighting[] = []
    const flush = async () => {
      // Listed after the segments that it explains, and copied before them.
      if (batch.some(({ left, right }) => !left || !right)) await small(timeline)
      // One after the other: a copy that is cut off in the middle holds a stretch without holes.
      for (const one of batch) {
        throwIfAborted(context.signal)
        await settleOne(context, one)
        tell(context)
      }
      batch = []
    }
    for await (const one of compareListings(primary.store, other.store, prefix)) {
      if (/\/(ranges|tail)\//.test(one.key.slice(folder.length))) continue
      if (one.left && one.right) recent = [...recent.slice(context.isFull ? 0 : 1 - RECENT_SEGMENTS), one]
      if (isDiffering(one)) batch.push(one)
      if (batch.length >= 1000) await flush()
      if (context.isFull && recent.length >= 1000) recent = await compareAll(context, recent)
    }
    await flush()
    if (context.isFull || !context.isCurrent) await compareAll(context, recent)
    await syncTails(context, { prefix: `${prefix}tail/`, timelinePrefix: prefix })
  }
}

async function compareAll(context: PassContext, sightings: readonly Sighting[]): Promise<Sighting[]> {
  await inParallel(context, sightings, (one) => compareHeaders(context, one))
  return []
}

/** Notes and caches that are written anew each time; the primary's count. */
async function syncChanging(context: PassContext, prefix: string): Promise<void> {
  const { primary, other, tally } = context
  await inParallel(context, compareListings(primary.store, other.store, prefix), async (one) => {
    if (!one.left || !one.right) return await settleOne(context, one)
    const [ours, theirs] = await Promise.all([primary.store.get(one.key), other.store.get(one.key)])
    if (ours === undefined || sameBytes(ours, theirs)) return
    await other.store.replace(one.key, ours)
    tally.counts.replacedObjects++
  })
}

async function syncUnknownAreas(context: PassContext, folder: string): Promise<void> {
  const areas = await listChildren([context.primary.store, context.other.store], folder)
  for (const area of areas) if (!KNOWN_CLUSTER_AREAS.has(area)) await syncPrefix(context, `${folder}${area}`)
}

function isDiffering({ left, right }: Sighting): boolean {
  return left?.sizeBytes !== right?.sizeBytes
}

function keepDiffering(list: Sighting[], one: Sighting): void {
  if (isDiffering(one)) list.push(one)
}

async function settleOne(context: PassContext, one: Sighting): Promise<void> {
  const { primary, other, tally } = context
  const { left, right } = one
  if (left && right) {
    if (left.sizeBytes !== right.sizeBytes) await resolve(context, one.key)
  } else if (left && (await bring(context, { from: primary, to: other, info: left }))) {
    tally.counts.copiedObjects++
    tally.counts.copiedBytes += left.sizeBytes
  } else if (right && (await bring(context, { from: other, to: primary, info: right }))) {
    tally.counts.returnedObjects++
    tally.counts.returnedBytes += right.sizeBytes
  }
}

/** Copies an object; false when it is not there any more. A damaged one is named, and copied as well: what is whole in it may be needed. */
async function bring(
  context: PassContext,
  move: { readonly from: CopySide; readonly to: CopySide; readonly info: ObjectInfo },
): Promise<boolean> {
  const { from, to, info } = move
  const { state } = await context.authenticator.judge(from.store, info.key, { depth: 'quick' })
  if (state === 'damaged') context.tally.damaged(from.name, info.key)
  if (state === 'missing') return false
  try {
    return await copyObject(from.store, to.target, info)
  } catch (error) {
    // Its owner deleted it meanwhile.
    if (isRetakeError(error) && (await from.store.head(info.key)) === undefined) return false
    throw error
  }
}

async function compareHeaders(context: PassContext, { key, left, right }: Sighting): Promise<void> {
  const { primary, other, isCurrent, isFull } = context
  if ((isCurrent && !isFull) || !left || !right) return
  const range = { offsetBytes: 0, lengthBytes: HEADER_BYTES }
  const [ours, theirs] = await Promise.all([primary.store.get(key, range), other.store.get(key, range)])
  if (ours && theirs && Buffer.compare(ours, theirs) !== 0) await resolve(context, key)
}

/** Both have it, with different bytes. */
async function resolve(context: PassContext, key: string): Promise<void> {
  const { primary, other, authenticator, tally } = context
  const [ours, theirs] = await Promise.all(
    [primary, other].map((side) => authenticator.judge(side.store, key, { depth: 'quick' })),
  )
  if (ours?.state === 'missing' || theirs?.state === 'missing') return
  if (ours?.state === 'damaged') tally.damaged(primary.name, key)
  if (theirs?.state === 'damaged') tally.damaged(other.name, key)
  if (ours?.state === 'damaged' || theirs?.state === 'damaged') return
  if (ours?.state !== 'authentic' || theirs?.state !== 'authentic' || ours.meaning !== theirs.meaning) {
    return tally.conflict(key)
  }
  if (await takeOver(primary.store, other.store, key)) tally.counts.replacedObjects++
}

/** The position that was read before everything else: all that it speaks of is in the other copy now (M6). */
async function syncPosition(context: PassContext, key: string, before: Uint8Array | undefined): Promise<void> {
  const { primary, other, authenticator, tally, isCurrent } = context
  for (let position = before; ; ) {
    const now = await primary.store.get(key)
    const isMoving = !sameBytes(position, now)
    // Whoever moves it writes it to a current copy as well.
    if (isMoving && isCurrent) return
    const theirs = await other.store.get(key)
    if (position === undefined || sameBytes(position, theirs)) return
    const { state } = await authenticator.judge(primary.store, key, { depth: 'quick' })
    if (state !== 'authentic') return tally.damaged(primary.name, key)
    await other.store.replace(key, position)
    tally.counts.replacedObjects++
    if (!isCurrent || sameBytes(position, await primary.store.get(key))) return
    position = await primary.store.get(key)
  }
}

/** Leases and readers are as the primary has them; one that was released there has ended everywhere. */
async function syncEnding(context: PassContext, prefix: string): Promise<void> {
  const { primary, other, tally } = context
  // Listed first: whatever is created meanwhile is created in the primary before.
  const theirs = await Array.fromAsync(other.store.list(prefix))
  for (const { key } of theirs) {
    if (await primary.store.head(key)) continue
    if (await other.store.delete(key)) tally.counts.deletedObjects++
  }
  for await (const { key } of primary.store.list(prefix)) {
    // Our own, which ends with this sync.
    if (key.startsWith(`${prefix}prune/`)) continue
    const [ours, held] = await Promise.all([primary.store.get(key), other.store.get(key)])
    if (ours && !sameBytes(ours, held)) await other.store.replace(key, ours)
  }
}

function sameBytes(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === undefined || right === undefined ? left === right : Buffer.compare(left, right) === 0
}

function tell({ onProgress, tally }: PassContext): void {
  const { copiedObjects, returnedObjects } = tally.counts
  onProgress?.({ phase: 'sync', done: copiedObjects + returnedObjects, unit: 'objects' })
}

/** A few at a time; the first failure ends it, after what was begun has ended. */
async function inParallel<T>(
  context: PassContext,
  items: AsyncIterable<T> | Iterable<T>,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  try {
    for await (const item of items) {
      throwIfAborted(context.signal)
      const work = action(item)
        .catch((error: unknown) => {
          failures.push(error)
        })
        .finally(() => running.delete(work))
      running.add(work)
      if (running.size >= PARALLEL) await Promise.race(running)
      if (failures.length > 0) break
      tell(context)
    }
  } finally {
    await Promise.all(running)
  }
  if (failures.length > 0) throw failures[0]
}
