/**
 * Keys and ciphers of everything stored, as `docs/design/repository-format.md` defines them. Synchronous and free of I/O,
 * so that worker threads can use it in their hot loops.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { assert } from '../base/errors.ts'
import { releaseBackingMemory } from '../base/memory.ts'
import { hashContent } from './content-hash.ts'
import type { FrameCodec } from './manifest.ts'

/** The numbers stored in a container's header and in the key of its object. Never reused. */
export const containerKinds = {
  holderReceipt: 1,
  cluster: 2,
  clusterKey: 3,
  runBegun: 4,
  runDone: 5,
  manifest: 6,
  pack: 7,
  walSegment: 8,
  walPartial: 9,
  walTail: 10,
  walRange: 11,
  walHistory: 12,
  walPosition: 13,
  lease: 14,
  condemned: 15,
  hold: 16,
  verified: 17,
  runFailed: 18,
  drill: 19,
  holderRemoved: 32,
  kitProof: 33,
  epochRetiring: 34,
  epochRetired: 35,
  shredBegun: 36,
  shredDone: 37,
  summaryIndex: 38,
  journal: 39,
} as const

export type ContainerKind = keyof typeof containerKinds

export const SALT_BYTES = 32
export const TAG_BYTES = 16
/** The most plaintext that a frame, or a record of a tail, may hold. */
export const MAX_FRAME_BYTES = 1024 * 1024
/** Fast, and on real pages hardly larger than level 3. */
export const DEFAULT_COMPRESSION_LEVEL = 1

/** What a nonce begins with; keeps the uses of one object key apart. */
export const nonceUses = { zstd: 0, raw: 1, footer: 2, tailRecord: 3, tailHeader: 4 } as const

/** The keys that seal the objects of one cluster (or, as epoch 0, of the repository itself). */
export interface Sealing {
  readonly repositoryId: string
  /** The epoch that new objects are sealed with. */
  readonly epoch: number
  /** Whether the key of an epoch is held; an object of any other does not open. */
  holds(epoch: number): boolean
  /** The epoch must be held. */
  keyOf(epoch: number): Uint8Array
  /** Keys the content ids; the same in all epochs. */
  readonly contentKey: Uint8Array
  /** Looks for epochs that were added or retired since the keys were read. Absent where the repository's key is not at hand (threads). */
  readonly refresh?: (() => Promise<void>) | undefined
}

/** The same as plain data, which can be sent to a worker thread. Secret. */
export interface SealingData {
  readonly repositoryId: string
  readonly epochs: readonly { readonly epoch: number; readonly key: Uint8Array }[]
  /** Default: derived from the key of the first epoch here, which is right as long as that is the very first. */
  readonly contentKey?: Uint8Array | undefined
}

/** Makes a sealing of its keys; the newest epoch is the current one. */
export function importSealing(data: SealingData): Sealing & { readonly data: SealingData } {
  const epochs = [...data.epochs].sort((left, right) => left.epoch - right.epoch)
  const [first] = epochs
  const current = epochs.at(-1)
  assert(first && current, 'a sealing has at least one key')
  const keys = new Map(epochs.map(({ epoch, key }) => [epoch, key]))
  return {
    data,
    repositoryId: data.repositoryId,
    epoch: current.epoch,
    contentKey: data.contentKey ?? deriveKey(first.key, { repositoryId: data.repositoryId, purpose: 'content' }),
    holds: (epoch) => keys.has(epoch),
    keyOf(epoch) {
      const key = keys.get(epoch)
      assert(key, `the data key of epoch ${epoch} is held`)
      return key
    },
  }
}

/**
 * A sealing that can be read again, for whoever keeps a cluster open while its keys are rotated.
 * @param load reads the keys as they are now
 */
export async function openSealing(load: () => Promise<SealingData>): Promise<Sealing & { readonly data: SealingData }> {
  let current = importSealing(await load())
  return {
    repositoryId: current.repositoryId,
    contentKey: current.contentKey,
    get data() {
      return current.data
    },
    get epoch() {
      return current.epoch
    },
    holds: (epoch) => current.holds(epoch),
    keyOf: (epoch) => current.keyOf(epoch),
    refresh: async () => {
      current = importSealing(await load())
    },
  }
}

/** Whether the key of an epoch is held, also when it was added after the cluster was opened. */
export async function findEpoch(sealing: Sealing, epoch: number): Promise<boolean> {
  if (!sealing.holds(epoch)) await sealing.refresh?.()
  return sealing.holds(epoch)
}

/** The way to a worker thread: `importSealing(exportSealing(sealing))` is equal to it. */
export function exportSealing(sealing: Sealing): SealingData {
  assert('data' in sealing, 'a sealing is made by importSealing')
  return sealing.data as SealingData
}

/** A key for one purpose, independent of every object key. */
export function deriveKey(
  key: Uint8Array,
  options: { readonly repositoryId: string; readonly purpose: 'content' | 'mac' },
): Uint8Array {
  return hkdf(key, {
    salt: new Uint8Array(0),
    info: Buffer.from(`retake/1\0${options.purpose}\0${options.repositoryId}`),
  })
}

export interface ObjectIdentity {
  readonly kind: ContainerKind
  readonly key: string
  readonly epoch: number
  readonly salt: Uint8Array
}

/** The key of one object: bound to repository, kind, place and salt, so that a moved or swapped object does not open. */
export function deriveObjectKey(sealing: Sealing, object: ObjectIdentity): Uint8Array {
  const info = Buffer.from(`retake/1\0object\0${containerKinds[object.kind]}\0${sealing.repositoryId}\0${object.key}`)
  return hkdf(sealing.keyOf(object.epoch), { salt: object.salt, info })
}

function hkdf(key: Uint8Array, options: { readonly salt: Uint8Array; readonly info: Uint8Array }): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, options.salt, options.info, 32))
}

/** The content id of a frame: keyed BLAKE3, base64url. */
export function contentId(sealing: Pick<Sealing, 'contentKey'>, bytes: Uint8Array): string {
  return hashContent(sealing.contentKey, bytes)
}

export interface SealedFrame {
  readonly index: number
  readonly codec: FrameCodec
  readonly plainBytes: number
  readonly storedBytes: number
  /** Ciphertext, then tag; to be written one after the other. */
  readonly bytes: readonly [ciphertext: Uint8Array, tag: Uint8Array]
}

export interface SealFrameOptions {
  /** `zstd` (default) falls back to `raw` by itself when that is not larger. */
  readonly codec?: FrameCodec | undefined
  /** Of zstd, 1 to 19. Default {@link DEFAULT_COMPRESSION_LEVEL}. */
  readonly level?: number | undefined
}

/**
 * Compresses and seals one frame. An index may be used once per object key.
 * @param frame its index in the container and at most {@link MAX_FRAME_BYTES} of plaintext
 */
export function sealFrame(
  objectKey: Uint8Array,
  frame: { readonly index: number; readonly plain: Uint8Array },
  options: SealFrameOptions = {},
): SealedFrame {
  const { index, plain } = frame
  assert(plain.length <= MAX_FRAME_BYTES, 'a frame holds at most 1 MiB')
  const compressed = options.codec === 'raw' ? undefined : compress(plain, options.level ?? DEFAULT_COMPRESSION_LEVEL)
  const useRaw = compressed === undefined || compressed.length >= plain.length
  const codec = useRaw ? 'raw' : 'zstd'
  const bytes = seal(objectKey, useRaw ? plain : compressed, { nonce: nonceOf(nonceUses[codec], index) })
  if (compressed) releaseBackingMemory(compressed)
  return { index, codec, plainBytes: plain.length, storedBytes: bytes[0].length + TAG_BYTES, bytes }
}

/** Where a frame is and how it is packed; enough to open its stored bytes. */
export interface StoredFrame {
  readonly index: number
  readonly codec: FrameCodec
  readonly plainBytes: number
  readonly storedBytes: number
}

/** The plaintext of a frame, or undefined when the stored bytes are not what was written. */
export function openFrameSync(objectKey: Uint8Array, frame: StoredFrame, stored: Uint8Array): Uint8Array | undefined {
  if (stored.length !== frame.storedBytes) return undefined
  const opened = unseal(objectKey, stored, { nonce: nonceOf(nonceUses[frame.codec], frame.index) })
  const plain = opened && frame.codec === 'zstd' ? decompress(opened, frame.plainBytes) : opened
  if (opened && plain !== opened) releaseBackingMemory(opened)
  return plain?.length === frame.plainBytes ? plain : undefined
}

/**
 * A frame as another object's key seals it: what is packed in it stays as it is, and so do its length and its place.
 * Undefined when the stored bytes are not what was written.
 */
export function resealFrame(
  keys: { readonly from: Uint8Array; readonly to: Uint8Array },
  frame: StoredFrame,
  stored: Uint8Array,
): SealedFrame | undefined {
  const nonce = nonceOf(nonceUses[frame.codec], frame.index)
  const packed = stored.length === frame.storedBytes ? unseal(keys.from, stored, { nonce }) : undefined
  if (packed === undefined) return undefined
  const { index, codec, plainBytes, storedBytes } = frame
  return { index, codec, plainBytes, storedBytes, bytes: seal(keys.to, packed, { nonce }) }
}

interface CipherOptions {
  readonly nonce: Uint8Array
  readonly additional?: readonly Uint8Array[] | undefined
}

/** AES-256-GCM. The caller guarantees that a nonce is used once per key. */
export function seal(
  key: Uint8Array,
  plain: Uint8Array,
  options: CipherOptions,
): [ciphertext: Uint8Array, tag: Uint8Array] {
  const cipher = createCipheriv('aes-256-gcm', key, options.nonce)
  if (options.additional) cipher.setAAD(Buffer.concat(options.additional))
  const ciphertext = cipher.update(plain)
  cipher.final()
  return [ciphertext, cipher.getAuthTag()]
}

/** The plaintext of `ciphertext · tag`, or undefined when it is not authentic. */
export function unseal(key: Uint8Array, stored: Uint8Array, options: CipherOptions): Uint8Array | undefined {
  if (stored.length < TAG_BYTES) return undefined
  const end = stored.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, options.nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(stored.subarray(end))
  if (options.additional) decipher.setAAD(Buffer.concat(options.additional))
  const plain = decipher.update(stored.subarray(0, end))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}

export function nonceOf(use: number, index: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce[0] = use
  nonce.writeUInt32LE(index % 0x1_0000_0000, 4)
  nonce.writeUInt32LE(Math.floor(index / 0x1_0000_0000), 8)
  return nonce
}

/** One output buffer of the right size at once: growing it in steps would cost a tenth of the speed. */
export function compress(plain: Uint8Array, level: number): Uint8Array {
  const bound = plain.length + (plain.length >> 7) + 128
  return zstdCompressSync(plain, { chunkSize: bound, params: { [constants.ZSTD_c_compressionLevel]: level } })
}

/** Undefined when it does not decompress to at most the given length. */
export function decompress(compressed: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return zstdDecompressSync(compressed, {
      chunkSize: Math.max(64, maxBytes + 1),
      maxOutputLength: Math.max(1, maxBytes),
    })
  } catch {
    return undefined
  }
}
