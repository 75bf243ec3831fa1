/** The bytes of a container's header, footer and trailer. */
import type { FrameLocation } from './frame-location.ts'
import {
  type ContainerKind,
  compress,
  containerKinds,
  decompress,
  nonceOf,
  nonceUses,
  SALT_BYTES,
  seal,
  TAG_BYTES,
  unseal,
} from './sealing.ts'

export const HEADER_BYTES = 64
export const TRAILER_BYTES = 16
const HEADER_MAGIC = Buffer.from('RETAKE1\n')
const TRAILER_MAGIC = Buffer.from('RETAKEF\n')
/** A footer is authentic before it is unpacked; this only bounds what a defect of our own could cost. */
const MAX_FOOTER_BYTES = 1024 * 1024 * 1024
const FOOTER_LEVEL = 3

export interface ContainerHeader {
  readonly kind: ContainerKind
  readonly epoch: number
  readonly salt: Uint8Array
}

const kindNames = new Map<number, ContainerKind>(
  Object.entries(containerKinds).map(([name, number]) => [number, name as ContainerKind]),
)

export function encodeHeader(header: ContainerHeader): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES)
  HEADER_MAGIC.copy(bytes)
  bytes[8] = containerKinds[header.kind]
  bytes.writeUInt32LE(header.epoch, 12)
  bytes.set(header.salt, 16)
  return bytes
}

/** Undefined unless it is exactly what {@link encodeHeader} writes, zeros included. */
export function decodeHeader(bytes: Uint8Array): ContainerHeader | undefined {
  const view = asBuffer(bytes)
  if (view.length < HEADER_BYTES) return undefined
  const kind = kindNames.get(view.readUInt8(8))
  if (kind === undefined) return undefined
  const header = { kind, epoch: view.readUInt32LE(12), salt: view.subarray(16, 16 + SALT_BYTES) }
  return view.subarray(0, HEADER_BYTES).equals(encodeHeader(header)) ? header : undefined
}

export function decodeTrailer(
  bytes: Uint8Array,
): { readonly footerBytes: number; readonly frameCount: number } | undefined {
  const view = asBuffer(bytes)
  if (view.length !== TRAILER_BYTES || !view.subarray(8).equals(TRAILER_MAGIC)) return undefined
  const footerBytes = view.readUInt32LE(0)
  return footerBytes < TAG_BYTES ? undefined : { footerBytes, frameCount: view.readUInt32LE(4) }
}

export interface Footer {
  readonly frames: readonly FrameLocation[]
  readonly meta: unknown
}

/** Footer and trailer, ready to be written. */
export function encodeFooter(
  footer: Footer,
  context: { readonly objectKey: Uint8Array; readonly header: Uint8Array },
): Uint8Array[] {
  const frames = footer.frames.map((frame) => [
    frame.offsetBytes,
    frame.storedBytes,
    frame.plainBytes,
    frame.codec === 'zstd' ? nonceUses.zstd : nonceUses.raw,
    frame.contentId ?? null,
  ])
  const packed = compress(Buffer.from(JSON.stringify({ frames, meta: footer.meta })), FOOTER_LEVEL)
  const trailer = Buffer.alloc(TRAILER_BYTES)
  trailer.writeUInt32LE(packed.length + TAG_BYTES, 0)
  trailer.writeUInt32LE(frames.length, 4)
  TRAILER_MAGIC.copy(trailer, 8)
  const sealed = seal(context.objectKey, packed, {
    nonce: nonceOf(nonceUses.footer, 0),
    additional: [context.header, trailer],
  })
  return [...sealed, trailer]
}

/** Undefined when the footer is not authentic or not in the format. */
export function decodeFooter(
  stored: Uint8Array,
  context: { readonly objectKey: Uint8Array; readonly header: Uint8Array; readonly trailer: Uint8Array },
): Footer | undefined {
  const packed = unseal(context.objectKey, stored, {
    nonce: nonceOf(nonceUses.footer, 0),
    additional: [context.header, context.trailer],
  })
  const json = packed && decompressFooter(packed)
  if (json === undefined) return undefined
  const footer: unknown = JSON.parse(asBuffer(json).toString('utf8'))
  if (typeof footer !== 'object' || footer === null || !('frames' in footer) || !('meta' in footer)) return undefined
  if (!Array.isArray(footer.frames) || footer.frames.length !== decodeTrailer(context.trailer)?.frameCount)
    return undefined
  const frames = footer.frames.map(decodeFrame)
  return frames.every((frame) => frame !== undefined) ? { frames, meta: footer.meta } : undefined
}

/** Its unpacked length is not stored: small footers are the rule, and a doubling limit keeps them cheap. */
function decompressFooter(packed: Uint8Array): Uint8Array | undefined {
  for (let limit = Math.max(4096, packed.length * 8); limit <= MAX_FOOTER_BYTES; limit *= 4) {
    const plain = decompress(packed, limit)
    if (plain) return plain
  }
  return undefined
}

function decodeFrame(value: unknown, index: number): FrameLocation | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined
  const [offsetBytes, storedBytes, plainBytes, codec, contentId] = value as unknown[]
  if (!isCount(offsetBytes) || !isCount(storedBytes) || !isCount(plainBytes)) return undefined
  if (codec !== nonceUses.zstd && codec !== nonceUses.raw) return undefined
  if (contentId !== null && typeof contentId !== 'string') return undefined
  const id = contentId === null ? {} : { contentId }
  return { index, offsetBytes, storedBytes, plainBytes, codec: codec === nonceUses.zstd ? 'zstd' : 'raw', ...id }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
