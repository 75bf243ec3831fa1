/** Frames of packs, opened one by one with range reads. Shared by the plan's single reads and the restore's workers. */
import type { RetakeError } from '../base/errors.ts'
import { damaged } from '../repository/container.ts'
import { packKey } from '../repository/layout.ts'
import type { FrameRef, PackEntry } from '../repository/manifest.ts'
import { firstOf } from '../repository/other-copies.ts'
import { contentId, deriveObjectKey, openFrameSync, type Sealing } from '../repository/sealing.ts'
import type { ObjectReader } from '../storage/object-store.ts'

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

/**
 * A frame from another copy of the repository, when the one that was read first is not what was written.
 * @throws RetakeError `repo.damaged` when no copy has it, or there is but one
 */
export async function readFrameElsewhere(
  place: { readonly store: ObjectReader; readonly sealing: Sealing },
  pack: PackKey,
  frame: Pick<FrameRef, 'index' | 'codec' | 'plainBytes' | 'storedBytes' | 'offsetBytes' | 'contentId'>,
): Promise<Uint8Array> {
  const { store, sealing } = place
  const found = await firstOf(store, pack.key, async (copy) => {
    const stored = await copy.get(pack.key, { offsetBytes: frame.offsetBytes, lengthBytes: frame.storedBytes })
    const plain = stored?.length === frame.storedBytes ? openPackFrame(pack, frame, stored) : undefined
    return plain && contentId(sealing, plain) === frame.contentId ? plain : undefined
  })
  if (!found) throw frameDamaged(pack, frame)
  return found
}

export function frameDamaged(pack: { readonly key: string }, frame: { readonly index: number }): RetakeError {
  return damaged(pack, `its frame ${frame.index} is not what was written`)
}
