/**
 * Who is primary and which copies hold everything, as each copy records it. Not sealed: it is read before there is a key, and chooses only
 * among configured places. See `docs/design/mirrors.md`.
 */
import type { ObjectReader, ObjectStore } from '../object-store.ts'

/** Everything below it concerns copies, is not replicated, and is no part of what copies have in common. */
export const COPIES_PREFIX = 'copies/'
const GENERATIONS_PREFIX = `${COPIES_PREFIX}generations/`
const SYNCED_KEY = `${COPIES_PREFIX}synced`
export const EVIDENCE_PREFIX = `${COPIES_PREFIX}damaged/`
/** What makes a place a repository; a place without it is not believed. */
export const IDENTITY_KEY = 'retake.json'
/** So many generations stay, for whoever wants to know what happened. */
const KEPT_GENERATIONS = 8

export interface CopyRecord {
  readonly generation: number
  readonly primary: string
  /** Hold everything. */
  readonly current: readonly string[]
  /** About to: they get every new object but those that refer to others. */
  readonly joining: readonly string[]
  /** All copies that there are. */
  readonly members: readonly string[]
  /** A sentence for people. */
  readonly reason: string
  /** ISO 8601 UTC, the clock of who recorded it. */
  readonly at: string
}

export interface StoredRecord {
  readonly record: CopyRecord
  /** Two records are the same when their texts are. */
  readonly text: string
}

/** The newest record of one copy; undefined when it has none. One that cannot be read counts as none: the copy is then not believed to be current. */
export async function readNewestRecord(reader: ObjectReader): Promise<StoredRecord | undefined> {
  let newest: string | undefined
  for await (const { key } of reader.list(GENERATIONS_PREFIX)) newest = key
  const bytes = newest === undefined ? undefined : await reader.get(newest)
  if (newest === undefined || bytes === undefined) return undefined
  const text = Buffer.from(bytes).toString('utf8')
  const record = decodeRecord(text)
  return record && generationKey(record.generation) === newest ? { record, text } : undefined
}

/** The number of the newest record, without reading it; 0 when there is none. */
export async function readNewestGeneration(reader: ObjectReader): Promise<number> {
  let newest = 0
  for await (const { key } of reader.list(GENERATIONS_PREFIX)) {
    newest = Number.parseInt(key.slice(GENERATIONS_PREFIX.length), 16)
  }
  return newest
}

/** Makes a generation known to one copy; false when it has one of that number already. */
export async function createRecord(store: ObjectStore, record: CopyRecord): Promise<boolean> {
  const created = await store.create(generationKey(record.generation), Buffer.from(encodeRecord(record)))
  if (created) await forgetOldRecords(store, record.generation)
  return created
}

export function encodeRecord(record: CopyRecord): string {
  const { generation, primary, current, joining, members, reason, at } = record
  return `${JSON.stringify({ generation, primary, current, joining, members, reason, at }, undefined, 2)}\n`
}

/** Of several newest records the one that counts. */
export function newestOf(records: readonly StoredRecord[]): StoredRecord | undefined {
  return records.reduce<StoredRecord | undefined>((best, one) => {
    if (best === undefined || one.record.generation > best.record.generation) return one
    if (one.record.generation < best.record.generation) return best
    return one.text < best.text ? one : best
  }, undefined)
}

/** When a copy last held everything that the primary held, ISO 8601 UTC. */
export async function readSynced(reader: ObjectReader): Promise<string | undefined> {
  const bytes = await reader.get(SYNCED_KEY)
  const value = bytes === undefined ? undefined : parse(Buffer.from(bytes).toString('utf8'))
  return isObject(value) && typeof value.at === 'string' && !Number.isNaN(Date.parse(value.at)) ? value.at : undefined
}

export async function writeSynced(store: ObjectStore, at: Date): Promise<void> {
  await store.replace(SYNCED_KEY, Buffer.from(`${JSON.stringify({ at: at.toISOString() })}\n`))
}

function generationKey(generation: number): string {
  return `${GENERATIONS_PREFIX}${generation.toString(16).toUpperCase().padStart(16, '0')}`
}

async function forgetOldRecords(store: ObjectStore, generation: number): Promise<void> {
  const limit = generationKey(Math.max(0, generation - KEPT_GENERATIONS + 1))
  const old: string[] = []
  for await (const { key } of store.list(GENERATIONS_PREFIX)) if (key < limit) old.push(key)
  for (const key of old) await store.delete(key)
}

function decodeRecord(text: string): CopyRecord | undefined {
  const value = parse(text)
  if (!isObject(value)) return undefined
  const { generation, primary, current, joining, members, reason, at } = value
  if (!Number.isSafeInteger(generation) || (generation as number) < 1) return undefined
  if (typeof primary !== 'string' || typeof reason !== 'string' || typeof at !== 'string') return undefined
  if (!isNames(current) || !isNames(joining) || !isNames(members) || current.length === 0) return undefined
  return { generation: generation as number, primary, current, joining, members, reason, at }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
}
