/** Frames of packs, opened one by one with range reads. Shared by the plan's single reads and the restore's workers. */
import type { RetakeError } from '../base/errors.ts'
import { damaged } from '../repository/container.ts'
import { packKey } from '../repository/layout.ts'
import type { FrameRef, PackEntry } from '../repository/manifest.ts'
import { deriveObjectKey, openFrameSync, type Sealing } from '../repository/sealing.ts'

export interface PackKey {
  /** The object's key in the store. */
  readonly key: string
  /** Secret. */
  readonly objectKey: Uint8Array
}

/**
 * Derives the key that opens a pack's frames from what the manifest says of it; nothing is read. A manifest is authentic, so
 * a pack that is not the one it names opens nothing.
 * @throws RetakeError `repo.damaged` when the key of that epoch is not in the repository
 */
export function packKeyOf(sealing: Sealing, entry: Pick<PackEntry, 'packId' | 'salt' | 'epoch'>): PackKey {
  const key = packKey(entry.packId)
  const salt = Buffer.from(entry.salt, 'base64url')
  if (!sealing.holds(entry.epoch))
    throw damaged({ key }, `the key of its epoch ${entry.epoch} is not in the repository`)
  return { key, objectKey: deriveObjectKey(sealing, { kind: 'pack', key, epoch: entry.epoch, salt }) }
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
