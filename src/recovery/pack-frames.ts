/** Frames of packs, opened one by one with range reads. Shared by the plan's single reads and the restore's workers. */
import type { RetakeError } from '../base/errors.ts'
import { damaged } from '../repository/container.ts'
import { decodeHeader, HEADER_BYTES } from '../repository/container-layout.ts'
import { packKey } from '../repository/layout.ts'
import type { FrameRef, PackEntry } from '../repository/manifest.ts'
import { deriveObjectKey, openFrameSync, type Sealing } from '../repository/sealing.ts'
import type { ObjectReader } from '../storage/object-store.ts'

export interface PackKey {
  /** The object's key in the store. */
  readonly key: string
  /** Secret. */
  readonly objectKey: Uint8Array
}

/**
 * Derives the key that opens a pack's frames. The header says which epoch sealed it; a header that was tampered with leads
 * to a key that opens nothing.
 * @throws RetakeError `repo.damaged` when the pack is missing or its header is not the one the manifest knows
 */
export async function readPackKey(
  place: { readonly store: ObjectReader; readonly sealing: Sealing },
  entry: Pick<PackEntry, 'packId' | 'salt'>,
): Promise<PackKey> {
  const key = packKey(entry.packId)
  const bytes = await place.store.get(key, { offsetBytes: 0, lengthBytes: HEADER_BYTES })
  if (!bytes) throw damaged({ key }, 'it is missing')
  const header = decodeHeader(bytes)
  const salt = Buffer.from(entry.salt, 'base64url')
  if (header?.kind !== 'pack' || !salt.equals(header.salt))
    throw damaged({ key }, 'its header is not the one the manifest knows')
  return { key, objectKey: deriveObjectKey(place.sealing, { kind: 'pack', key, epoch: header.epoch, salt }) }
}

/** The plaintext of a frame, or undefined when the stored bytes are not what was written. */
export function openPackFrame(
  pack: PackKey,
  frame: Pick<FrameRef, 'index' | 'codec' | 'plainBytes' | 'storedBytes'>,
  stored: Uint8Array,
): Uint8Array | undefined {
  return openFrameSync(pack.objectKey, frame, stored)
}

export function frameDamaged(pack: { readonly key: string }, frame: { readonly index: number }): RetakeError {
  return damaged(pack, `its frame ${frame.index} is not what was written`)
}
