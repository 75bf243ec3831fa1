/**
 * What is given up and not yet deleted. A condemnation is a durable record: from then on what it names counts as gone for
 * whoever begins, and it is deleted when nobody who began before can need it any more (`sweep/delete.ts`).
 *
 * The order that makes this safe without comparing clocks: the record is durable first, then `.ready` notes who was under way.
 * A backup or restore that is not noted there has begun afterwards and so has read the record.
 */
import * as z from 'zod'
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import { timeOrderedId } from '../base/ids.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, putSmall } from './container.ts'
import { condemnedPrefix, hex, isBackupId } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { SegmentSet } from './segment-set.ts'
import { parseWalKey, type SegmentStretch, segmentName, walPrefix } from './wal-layout.ts'

/** What one record gives up. */
export interface Condemnation {
  /** A sentence for people: what gave it up. */
  readonly why: string
  /** Stored bytes that it gives up; for people. */
  readonly bytes: number
  /** Whole backups: every revision of their manifests, the records of their runs and of their verification. */
  readonly backups: readonly string[]
  /** Manifests that a newer revision has replaced. */
  readonly revisions: readonly { readonly backupId: string; readonly revision: number }[]
  readonly packs: readonly string[]
  readonly segments: readonly SegmentStretch[]
  /** Other objects of the WAL archive, by their full keys: partial segments, tails, ranges. */
  readonly walKeys: readonly string[]
}

export interface CondemnedRecord extends Condemnation {
  readonly id: string
  readonly key: string
  /** Our clock, ISO 8601 UTC. */
  readonly condemnedAt: string
  /** Who was under way once the record was durable; absent when a crash came between. The grace begins with it. */
  readonly ready?: CondemnedReady | undefined
}

export interface CondemnedReady {
  readonly at: string
  /** Backups that had begun and were not done. */
  readonly runs: readonly string[]
  /** Readers that lived, by the keys of their leases. */
  readonly readers: readonly string[]
}

/** All records together. */
export interface Condemned {
  /** In the order of time. */
  readonly records: readonly CondemnedRecord[]
  readonly backups: ReadonlySet<string>
  readonly packs: ReadonlySet<string>
  /** `backup id.revision` */
  readonly revisions: ReadonlySet<string>
  /** The finished segments that are condemned. */
  readonly segments: SegmentSet
  /** Whether an object of the WAL archive is condemned. */
  readonly holdsWal: (key: string) => boolean
}

const segmentText = z.string().regex(/^[0-9A-F]{16}$/)
const recordSchema = z.object({
  why: z.string(),
  bytes: z.int().nonnegative(),
  condemnedAt: z.iso.datetime(),
  backups: z.array(z.string().refine(isBackupId)),
  revisions: z.array(z.tuple([z.string().refine(isBackupId), z.int().nonnegative()])),
  packs: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
  segments: z.array(z.tuple([z.int().positive(), segmentText, segmentText])),
  walKeys: z.array(z.string()),
})
const readySchema = z.object({ at: z.iso.datetime(), runs: z.array(z.string()), readers: z.array(z.string()) })

/** Makes a condemnation durable; it counts from here on, and is deleted some time after {@link putReady}. */
export async function putCondemned(
  cluster: ClusterRepository,
  condemnation: Condemnation,
  now: Date,
): Promise<CondemnedRecord> {
  const id = timeOrderedId(now)
  const key = `${condemnedPrefix(cluster.facts.name)}${id}`
  const condemnedAt = now.toISOString()
  const { why, bytes, backups, packs, walKeys } = condemnation
  const meta = recordSchema.parse({
    ...{ why, bytes, condemnedAt, backups, packs, walKeys },
    revisions: condemnation.revisions.map(({ backupId, revision }) => [backupId, revision]),
    segments: condemnation.segments.map(({ timeline, first, last }) => [timeline, hex(first, 16), hex(last, 16)]),
  })
  await putSmall(cluster.store, cluster.sealing, { key, kind: 'condemned', meta })
  return { ...condemnation, id, key, condemnedAt }
}

/** Notes who was under way; listed after the record was durable. */
export async function putReady(
  cluster: ClusterRepository,
  record: CondemnedRecord,
  ready: CondemnedReady,
): Promise<CondemnedRecord> {
  const key = `${record.key}${READY}`
  await putSmall(cluster.store, cluster.sealing, { key, kind: 'condemned', meta: readySchema.parse(ready) })
  return { ...record, ready }
}

/** Takes the record away once nothing of it is left, or none of it shall go. The record first: a note alone says nothing. */
export async function dropCondemned(cluster: ClusterRepository, record: CondemnedRecord): Promise<void> {
  await cluster.store.delete(record.key)
  await cluster.store.delete(`${record.key}${READY}`)
}

const READY = '.ready'

export interface ReadCondemnedOptions {
  /** Told of a record that cannot be read, which is then left out: nothing is deleted by it. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, key: string) => void) | undefined
}

/** Everything that is condemned now. @throws RetakeError `repo.damaged`, unless damage is collected by `onDamage` */
export async function readCondemned(
  cluster: ClusterRepository,
  options: ReadCondemnedOptions = {},
): Promise<Condemned> {
  const records = new Map<string, CondemnedRecord>()
  for (const key of await listKeys(cluster)) {
    try {
      const isReady = key.endsWith(READY)
      const meta = await getSmall(cluster.store, cluster.sealing, { key, kind: 'condemned' })
      // Deleted since it was listed: another process has finished it.
      if (meta === undefined) continue
      const recordKey = isReady ? key.slice(0, -READY.length) : key
      const record = records.get(recordKey)
      if (!isReady) records.set(key, decodeRecord(key, meta))
      else if (record) records.set(recordKey, { ...record, ready: decodeMeta(readySchema, meta, { key }) })
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
      options.onDamage(error, key)
    }
  }
  return combine(cluster, [...records.values()])
}

/**
 * The packs that nothing new may refer to. Read by a backup that wants to refer to existing packs, after its `.begun` is
 * durable and while it holds the lease `backup`.
 * @throws RetakeError `storage.failed`
 */
export async function readCondemnedPacks(cluster: ClusterRepository): Promise<ReadonlySet<string>> {
  // By a record that cannot be read nothing is deleted, so its packs stay.
  return (await readCondemned(cluster, { onDamage: () => {} })).packs
}

/** The keys of records and notes; a note follows its record. Notes without a record are left over from a crash. */
async function listKeys(cluster: ClusterRepository): Promise<string[]> {
  const prefix = condemnedPrefix(cluster.facts.name)
  const keys: string[] = []
  for await (const { key } of cluster.store.list(prefix)) {
    if (isCondemnedName(key.slice(prefix.length))) keys.push(key)
  }
  return keys
}

/** Whether this can be the name of an object below `condemned/`. */
export function isCondemnedName(name: string): boolean {
  return isBackupId(name.endsWith(READY) ? name.slice(0, -READY.length) : name)
}

/** Notes whose record is gone. */
export async function listLeftNotes(cluster: ClusterRepository): Promise<string[]> {
  const keys = await listKeys(cluster)
  const records = new Set(keys)
  return keys.filter((key) => key.endsWith(READY) && !records.has(key.slice(0, -READY.length)))
}

function decodeRecord(key: string, meta: unknown): CondemnedRecord {
  const decoded = decodeMeta(recordSchema, meta, { key })
  return {
    ...decoded,
    key,
    id: key.slice(key.lastIndexOf('/') + 1),
    revisions: decoded.revisions.map(([backupId, revision]) => ({ backupId, revision })),
    segments: decoded.segments.map(([timeline, first, last]) => ({
      timeline,
      first: BigInt(`0x${first}`),
      last: BigInt(`0x${last}`),
    })),
  }
}

/** What several records say together. */
export function combine(cluster: ClusterRepository, records: readonly CondemnedRecord[]): Condemned {
  const { name } = cluster.facts
  const walKeys = new Set(records.flatMap((record) => record.walKeys))
  const segments = new SegmentSet(records.flatMap((record) => record.segments))
  return {
    records,
    backups: new Set(records.flatMap((record) => record.backups)),
    packs: new Set(records.flatMap((record) => record.packs)),
    revisions: new Set(
      records.flatMap((record) => record.revisions.map(({ backupId, revision }) => `${backupId}.${revision}`)),
    ),
    segments,
    holdsWal(key) {
      if (segments.isEmpty && walKeys.size === 0) return false
      if (walKeys.has(key)) return true
      const parsed = key.startsWith(walPrefix(name)) ? parseWalKey(name, key) : undefined
      return parsed?.type === 'segment' && !parsed.partial && segments.has(parsed.timeline, parsed.segment)
    },
  }
}

/** The keys of the segments of a stretch, one at a time: there may be a million. */
export function* keysOfStretch(cluster: ClusterRepository, stretch: SegmentStretch): Generator<string> {
  const { timeline, first, last } = stretch
  for (let segment = first; segment <= last; segment += 1n)
    yield segmentName(cluster.facts.name, { timeline, segment, partial: false }).key
}
