/**
 * Copies a repository, or one cluster of it, to another place, object by object and sealed as it is: the copy is opened by the same
 * keys. What refers to something is copied after it (R1), and `retake.json`, which makes the place a repository, comes last, so a copy
 * that was interrupted is not taken for one. Doing it again goes on where it stopped, and brings a copy up to date.
 *
 * The source may be written meanwhile: the WAL position is read first, then the tails are listed, then everything else, so what is
 * copied is whole as of some moment. Nothing is removed in the copy but tails that have become segments.
 */
import { createHash } from 'node:crypto'
import { throwIfAborted } from '../../base/abort.ts'
import { RetakeError } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import type { ObjectInfo, ObjectReader, ObjectStore } from '../../storage/object-store.ts'
import { clusterPrefix, packKey, parsePackKey, REPOSITORY_KEY } from '../layout.ts'
import { listBackupIds, readEntries } from '../manifest-store.ts'
import { type Repository, readRepositoryFile } from '../repository.ts'
import { parseWalKey, positionKey, segmentName, walPrefix } from '../wal-layout.ts'
import { readPosition } from '../wal-records.ts'

export interface CopyOptions {
  /** One cluster only. Default: all. */
  readonly cluster?: string | undefined
  /** Says what would be copied, and copies nothing. */
  readonly dryRun?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface CopyReport {
  readonly from: string
  readonly to: string
  readonly clusters: readonly string[]
  /** What was copied (or would be), read back and compared. */
  readonly copied: { readonly objects: number; readonly bytes: number }
  /** What was there already, with the same length. */
  readonly present: { readonly objects: number; readonly bytes: number }
}

const PIECE_BYTES = 4 * 1024 * 1024

/**
 * @param to opened; an empty place, or an earlier copy of this repository
 * @throws RetakeError `repo.exists` when something else is there, `repo.conflict` when an object there has other content or one
 * of the source was removed meanwhile, `cluster.missing`, `storage.*`, `aborted`
 */
export async function copyRepository(
  from: Repository,
  to: ObjectStore,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const clusters = options.cluster === undefined ? await from.listClusters() : [options.cluster]
  for (const name of clusters) await from.openCluster(name)
  await requireOwnPlace(from, to)
  const positions = new Map<string, Uint8Array>()
  for (const name of clusters) {
    const bytes = await from.store.get(positionKey(name))
    if (bytes) positions.set(name, bytes)
  }
  const objects = await listObjects(from, clusters, options)
  const report = { copied: { objects: 0, bytes: 0 }, present: { objects: 0, bytes: 0 } }
  const totalBytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let doneBytes = 0
  for (const object of objects) {
    throwIfAborted(options.signal)
    const isNew = await copyObject(from.store, to, {
      ...(await settled(from.store, object)),
      dryRun: options.dryRun === true,
    })
    const sum = isNew ? report.copied : report.present
    sum.objects += 1
    sum.bytes += object.sizeBytes
    doneBytes += object.sizeBytes
    options.onProgress?.({ phase: 'copy', done: doneBytes, total: totalBytes, unit: 'bytes' })
  }
  if (!options.dryRun) {
    for (const name of clusters) await removeFinishedTails(to, name)
    await copyPositions(from, to, positions)
    await copyObject(from.store, to, { key: REPOSITORY_KEY, sizeBytes: 0, grows: false, dryRun: false })
  }
  return { from: from.url, to: to.url, clusters, ...report }
}

/** Only an empty place, or one where nothing is that is not from this repository. */
async function requireOwnPlace(from: Repository, to: ObjectStore): Promise<void> {
  if (await to.head(REPOSITORY_KEY)) {
    const { repositoryId } = await readRepositoryFile(to)
    if (repositoryId === from.id) return
    throw new RetakeError('repo.exists', `${to.url} holds another repository (${repositoryId}, not ${from.id}).`, {
      hint: 'Name an empty place, or one with an earlier copy of this repository.',
      details: { url: to.url },
    })
  }
  for await (const { key } of to.list('')) {
    if (key.startsWith('clusters/') || key.startsWith('packs/')) continue
    // A copy begins with the key holders: of one that was interrupted they tell whose it is.
    const [theirs, ours] = [await to.get(key), await from.store.get(key)]
    if (key.startsWith('keys/') && theirs && ours && Buffer.from(theirs).equals(ours)) continue
    throw new RetakeError('repo.exists', `${to.url} is not empty: there is ${key}, which is not of this repository.`, {
      hint: 'Name an empty place, or one with an earlier copy of this repository.',
      details: { url: to.url },
    })
  }
}

interface CopyItem extends ObjectInfo {
  /** A tail that is being written; its beginning never changes. */
  readonly grows: boolean
}

/** What is replaced or about processes, or can be made again: of no use elsewhere. A copy is verified by itself. */
const passing: ReadonlySet<string> = new Set(['leases', 'readers', 'verified', 'index', 'journal'])

/** In the order in which they are copied. */
async function listObjects(from: Repository, clusters: readonly string[], options: CopyOptions): Promise<CopyItem[]> {
  const items = new Map<string, CopyItem>()
  for (const name of clusters) {
    for await (const object of from.store.list(walPrefix(name))) {
      if (parseWalKey(name, object.key)?.type === 'tail') items.set(object.key, { ...object, grows: true })
    }
  }
  for await (const object of from.store.list('keys/')) items.set(object.key, { ...object, grows: false })
  for (const name of clusters) {
    for await (const object of from.store.list(clusterPrefix(name))) {
      const { key } = object
      const wal = parseWalKey(name, key)
      if (passing.has(key.split('/')[2] ?? '') || wal?.type === 'position' || wal?.type === 'tail') continue
      items.set(key, { ...object, grows: false })
    }
  }
  // After the manifests: every pack that one of them names was there before it.
  const wanted = options.cluster === undefined ? undefined : await packsOf(from, options.cluster)
  for await (const object of from.store.list('packs/')) {
    const packId = parsePackKey(object.key)
    if (packId !== undefined && (wanted === undefined || wanted.has(packId)))
      items.set(object.key, { ...object, grows: false })
  }
  const missing = [...(wanted ?? [])].find((packId) => !items.has(packKey(packId)))
  if (missing !== undefined) throw removed(packKey(missing))
  return [...items.values()].sort(
    (left, right) => rankOf(left.key) - rankOf(right.key) || (left.key < right.key ? -1 : 1),
  )
}

async function packsOf(from: Repository, name: string): Promise<Set<string>> {
  const cluster = await from.openCluster(name)
  const packs = new Set<string>()
  for (const backupId of await listBackupIds(cluster)) {
    for await (const entry of readEntries(cluster, backupId)) if (entry.type === 'pack') packs.add(entry.packId)
  }
  return packs
}

/** What is referred to has a lower rank than what refers to it. */
function rankOf(key: string): number {
  const [folder, cluster = '', part] = key.split('/')
  if (folder === 'keys') return 0
  if (folder === 'packs') return 3
  if (part === 'keys') return 1
  if (part === 'cluster') return 2
  const wal = parseWalKey(cluster, key)
  if (wal) return wal.type === 'history' || wal.type === 'range' ? 2 : 3
  if (part === 'backups') return 4
  return key.endsWith('.done') ? 5 : 2
}

/** A tail that was finished since it was listed is by now a segment (or a partial one), which was stored before it went. */
async function settled(from: ObjectReader, item: CopyItem): Promise<CopyItem> {
  if (!item.grows || (await from.head(item.key))) return item
  const cluster = item.key.split('/')[1] ?? ''
  const tail = parseWalKey(cluster, item.key)
  if (tail?.type !== 'tail') return item
  for (const partial of [false, true]) {
    const { key } = segmentName(cluster, { ...tail, partial })
    const info = await from.head(key)
    if (info) return { ...info, grows: false }
  }
  return item
}

/** True when it was (or would be) copied. What is there with the same length is taken for equal: objects appear whole or not at all. */
async function copyObject(
  from: ObjectReader,
  to: ObjectStore,
  item: CopyItem & { readonly dryRun: boolean },
): Promise<boolean> {
  const { key, grows } = item
  const [source, present] = [await from.head(key), await to.head(key)]
  if (!source) throw removed(key)
  if (present && present.sizeBytes === source.sizeBytes) return false
  if (present && !(grows && present.sizeBytes < source.sizeBytes)) {
    throw new RetakeError('repo.conflict', `${key} is there already with another length; it was not overwritten.`, {
      hint: 'The place holds something else under the name of this repository; copy to an empty one.',
      details: { object: key },
    })
  }
  if (item.dryRun) return true
  const sum = grows ? await replaceWhole(from, to, key) : await streamWhole(from, to, source)
  if (sum !== undefined && (await digestOf(to, key)) !== sum) {
    throw new RetakeError('storage.failed', `${key} was copied, and what ${to.url} gives back is not the same.`, {
      hint: 'Check that storage, then copy again to an empty place.',
      details: { object: key },
    })
  }
  return true
}

async function replaceWhole(from: ObjectReader, to: ObjectStore, key: string): Promise<string | undefined> {
  const bytes = await from.get(key)
  if (!bytes) return undefined
  await to.replace(key, bytes)
  return createHash('sha256').update(bytes).digest('hex')
}

async function streamWhole(from: ObjectReader, to: ObjectStore, { key, sizeBytes }: ObjectInfo): Promise<string> {
  const hash = createHash('sha256')
  await using writer = await to.openWriter(key)
  for await (const piece of piecesOf(from, { key, sizeBytes })) {
    hash.update(piece)
    await writer.write(piece)
  }
  await writer.commit()
  return hash.digest('hex')
}

async function digestOf(reader: ObjectReader, key: string): Promise<string | undefined> {
  const info = await reader.head(key)
  if (!info) return undefined
  const hash = createHash('sha256')
  for await (const piece of piecesOf(reader, info)) hash.update(piece)
  return hash.digest('hex')
}

async function* piecesOf(reader: ObjectReader, { key, sizeBytes }: ObjectInfo): AsyncGenerator<Uint8Array> {
  for (let offsetBytes = 0; offsetBytes < sizeBytes; offsetBytes += PIECE_BYTES) {
    const lengthBytes = Math.min(PIECE_BYTES, sizeBytes - offsetBytes)
    const piece = await reader.get(key, { offsetBytes, lengthBytes })
    if (piece?.length !== lengthBytes) throw removed(key)
    yield piece
  }
}

/** As the receiver does: the tail of a segment that is there whole says nothing any more. */
async function removeFinishedTails(to: ObjectStore, name: string): Promise<void> {
  const finished: string[] = []
  for await (const { key } of to.list(walPrefix(name))) {
    const tail = parseWalKey(name, key)
    if (tail?.type === 'tail' && (await to.head(segmentName(name, { ...tail, partial: false }).key))) finished.push(key)
  }
  for (const key of finished) await to.delete(key)
}

/** A position never goes back: a copy that has been written to meanwhile knows better. */
async function copyPositions(
  from: Repository,
  to: ObjectStore,
  positions: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  for (const [name, bytes] of positions) {
    const { facts, sealing } = await from.openCluster(name)
    const there = await readPosition({ facts, sealing, store: to })
    const here = await readPosition({ facts, sealing, store: from.store })
    const isAhead =
      there && here && (there.timeline > here.timeline || parseLsn(there.flushLsn) > parseLsn(here.flushLsn))
    if (!isAhead) await to.replace(positionKey(name), bytes)
  }
}

function removed(key: string): RetakeError {
  return new RetakeError('repo.conflict', `${key} was removed while the repository was copied.`, {
    hint: 'Copy again: what is there already is not copied a second time.',
    details: { object: key },
  })
}
