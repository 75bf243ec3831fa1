/** The bytes of a tail part: header, then records `length u32 · index u32 · durable u32 · ciphertext · tag`. */
import { releaseBackingMemory, releaseMemory } from '../base/memory.ts'
import type { ObjectReader } from '../storage/object-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { damaged, keyOfObject } from './container.ts'
import { type ContainerHeader, decodeHeader, encodeHeader, HEADER_BYTES } from './container-layout.ts'
import { fromAnyCopy } from './other-copies.ts'
import { MAX_FRAME_BYTES, nonceOf, nonceUses, seal, TAG_BYTES, unseal } from './sealing.ts'
import { type TailPartId, tailPartKey } from './wal-layout.ts'

const RECORD_HEADER_BYTES = 12
/** One read of the storage. Any record fits; what is left of the last one is read again, so it holds several of the largest. */
const READ_BYTES = 8 * MAX_FRAME_BYTES

export interface TailRecord {
  readonly index: number
  /** How many records of this part were durable when this one was written. */
  readonly durable: number
  readonly plain: Uint8Array
}

/** The header of a part; where other headers have zeros, its tag proves the salt before there is any record. */
export function sealTailHeader(objectKey: Uint8Array, header: Omit<ContainerHeader, 'kind'>): Uint8Array {
  const bytes = encodeHeader({ kind: 'walTail', ...header })
  const [, tag] = seal(objectKey, new Uint8Array(0), headerCipher(bytes))
  bytes.set(tag, HEADER_BYTES - TAG_BYTES)
  return bytes
}

/** Undefined when it is not authentic. @throws RetakeError `repo.damaged` when it names an unknown key epoch */
async function openTailHeader(
  cluster: PartPlace,
  key: string,
  bytes: Uint8Array,
): Promise<ContainerHeader | undefined> {
  const plain = Uint8Array.from(bytes)
  plain.fill(0, HEADER_BYTES - TAG_BYTES)
  const header = decodeHeader(plain)
  if (header?.kind !== 'walTail') return undefined
  const tag = bytes.subarray(HEADER_BYTES - TAG_BYTES)
  return unseal(await keyOf(cluster, { key, header }), tag, headerCipher(bytes)) && header
}

function headerCipher(bytes: Uint8Array) {
  return { nonce: nonceOf(nonceUses.tailHeader, 0), additional: [bytes.subarray(0, HEADER_BYTES - TAG_BYTES)] }
}

/** The pieces of a record, to be written one after the other. */
export function sealRecord(objectKey: Uint8Array, record: TailRecord): Uint8Array[] {
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header.writeUInt32LE(record.plain.length, 0)
  header.writeUInt32LE(record.index, 4)
  header.writeUInt32LE(record.durable, 8)
  const nonce = nonceOf(nonceUses.tailRecord, record.index)
  return [header, ...seal(objectKey, record.plain, { nonce, additional: [header] })]
}

/** Where a part is read. */
export type PartPlace = Pick<ClusterRepository, 'facts' | 'sealing'> & { readonly store: ObjectReader }

/** A part as far as it is authentic. */
export interface PartReading {
  readonly key: string
  /** The copy that it was read of, for repositories that are kept in several places. */
  readonly reader: ObjectReader
  readonly part: TailPartId
  /** Absent when the part was torn inside its header: it then holds nothing. */
  readonly header?: ContainerHeader | undefined
  readonly recordCount: number
  /** Where its WAL ends inside the segment. */
  readonly endBytes: number
  /** Bytes after the last authentic record, torn off by a crash. */
  readonly tornBytes: number
}

/**
 * Reads a part to the end of its last authentic record; undefined when it was deleted meanwhile.
 * @throws RetakeError `repo.damaged` when an unreadable record had been acknowledged, or the header is not authentic
 */
export async function readPart(cluster: PartPlace, part: TailPartId): Promise<PartReading | undefined> {
  const key = tailPartKey(cluster.facts.name, part)
  return await fromAnyCopy(cluster.store, key, (store) => readOnePart({ ...cluster, store }, part))
}

async function readOnePart(cluster: PartPlace, part: TailPartId): Promise<PartReading | undefined> {
  const key = tailPartKey(cluster.facts.name, part)
  // One request for a part that is small, as those of a bucket are.
  const begin = await cluster.store.get(key, { offsetBytes: 0, lengthBytes: READ_BYTES })
  if (begin === undefined) return undefined
  const bytes = begin.subarray(0, HEADER_BYTES)
  const base = { key, part, reader: cluster.store, recordCount: 0, endBytes: part.offsetBytes }
  // A header lies in one sector, so a crash leaves all of it or zeros; then nothing after it was ever acknowledged.
  if (bytes.length < HEADER_BYTES || bytes.every((byte) => byte === 0)) {
    return { ...base, tornBytes: await sizeOf(cluster, { key, begin }) }
  }
  const header = await openTailHeader(cluster, key, bytes)
  if (header === undefined) throw damaged({ key }, 'its header is not authentic')
  let { recordCount, endBytes } = base
  let position = HEADER_BYTES
  for await (const record of records(cluster, { key, header, begin })) {
    recordCount += 1
    endBytes += record.plain.length
    position = record.endPosition
    releaseMemory(record.plain)
  }
  const rest =
    begin.length < READ_BYTES
      ? begin.subarray(position)
      : await cluster.store.get(key, {
          offsetBytes: position,
          lengthBytes: Math.max(0, (await sizeOf(cluster, { key, begin })) - position),
        })
  const tornBytes = rest?.length ?? 0
  if (rest && findLaterRecord(rest, { objectKey: await keyOf(cluster, { key, header }), index: recordCount })) {
    throw damaged({ key }, `its record ${recordCount} is not authentic, though it had been acknowledged`)
  }
  releaseBackingMemory(begin)
  return { ...base, header, recordCount, endBytes, tornBytes }
}

/** Of a part of which the first bytes were read. */
async function sizeOf(
  { store }: PartPlace,
  part: { readonly key: string; readonly begin: Uint8Array },
): Promise<number> {
  return part.begin.length < READ_BYTES ? part.begin.length : ((await store.head(part.key))?.sizeBytes ?? 0)
}

/** The records of a part that was read before, the same ones again even if it has grown. */
export async function* readPartRecords(place: PartPlace, reading: PartReading): AsyncGenerator<TailRecord> {
  const cluster = { ...place, store: reading.reader }
  const { key, header, recordCount } = reading
  if (header === undefined || recordCount === 0) return
  let left = recordCount
  for await (const record of records(cluster, { key, header })) {
    yield record
    left -= 1
    if (left === 0) return
  }
  throw damaged({ key }, `${left} of its records are gone since it was looked at`)
}

interface PartSource {
  readonly key: string
  readonly header: ContainerHeader
  /** Its first bytes, if they were read already. */
  readonly begin?: Uint8Array | undefined
}

function keyOf(cluster: PartPlace, source: PartSource): Promise<Uint8Array> {
  return keyOfObject(cluster.sealing, { key: source.key, kind: 'walTail' }, source.header)
}

/** Authentic records from the beginning, up to the first that is not. */
async function* records(
  cluster: PartPlace,
  source: PartSource,
): AsyncGenerator<TailRecord & { readonly endPosition: number }> {
  const objectKey = await keyOf(cluster, source)
  let offsetBytes = HEADER_BYTES
  let window = source.begin?.subarray(HEADER_BYTES)
  for (let index = 0; ; ) {
    window ??= await cluster.store.get(source.key, { offsetBytes, lengthBytes: READ_BYTES - HEADER_BYTES })
    if (window === undefined) return
    // The part ended there when this was read; what has grown meanwhile is for the next reader.
    const isLast = window.length < READ_BYTES - HEADER_BYTES
    let position = 0
    for (;;) {
      const record = openRecord(objectKey, window.subarray(position))
      if (record === undefined || record.index !== index) break
      position += record.sizeBytes
      yield { ...record, endPosition: offsetBytes + position }
      index += 1
    }
    // What was handed in is the caller's.
    if (window.buffer !== source.begin?.buffer) releaseBackingMemory(window)
    if (position === 0 || isLast) return
    offsetBytes += position
    window = undefined
  }
}

function openRecord(
  objectKey: Uint8Array,
  bytes: Uint8Array,
): (TailRecord & { readonly sizeBytes: number }) | undefined {
  if (bytes.length < RECORD_HEADER_BYTES + TAG_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(0, true)
  const index = view.getUint32(4, true)
  const durable = view.getUint32(8, true)
  const sizeBytes = RECORD_HEADER_BYTES + length + TAG_BYTES
  if (length === 0 || length > MAX_FRAME_BYTES || durable > index || sizeBytes > bytes.length) return undefined
  const header = bytes.subarray(0, RECORD_HEADER_BYTES)
  const nonce = nonceOf(nonceUses.tailRecord, index)
  const plain = unseal(objectKey, bytes.subarray(RECORD_HEADER_BYTES, sizeBytes), { nonce, additional: [header] })
  return plain && { index, durable, plain, sizeBytes }
}

/**
 * Whether an authentic record follows somewhere that proves the record `index` had been durable. After a power failure
 * records may follow a torn one too, but none that says so. A header fits by chance once in 2^40, so the search is cheap.
 */
function findLaterRecord(
  bytes: Uint8Array,
  options: { readonly objectKey: Uint8Array; readonly index: number },
): boolean {
  for (let position = 0; position + RECORD_HEADER_BYTES + TAG_BYTES <= bytes.length; position++) {
    const record = openRecord(options.objectKey, bytes.subarray(position))
    if (record && record.index > options.index && record.durable > options.index) return true
  }
  return false
}
