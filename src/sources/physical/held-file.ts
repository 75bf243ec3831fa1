/** Reads a file of an earlier backup back from its packs. */

import type { ClusterRepository } from '../../repository/cluster.ts'
import { damaged } from '../../repository/container.ts'
import { packKey } from '../../repository/layout.ts'
import type { FileRun } from '../../repository/manifest.ts'
import { contentId, deriveObjectKey, openFrameSync } from '../../repository/sealing.ts'
import type { KnownFile } from './known-content.ts'

/** Its bytes, run by run. @throws RetakeError `repo.damaged` */
export async function* readHeldFile(cluster: ClusterRepository, file: KnownFile): AsyncGenerator<Uint8Array> {
  for (const run of file.entry.runs) yield await readRun(cluster, file, run)
}

async function readRun(cluster: ClusterRepository, file: KnownFile, run: FileRun): Promise<Uint8Array> {
  const { store, sealing } = cluster
  const { frame, frameOffsetBytes, lengthBytes } = run
  const pack = frame && file.packs[frame.pack]
  if (!frame || !pack) return new Uint8Array(lengthBytes)
  const key = packKey(pack.packId)
  if (!sealing.holds(pack.epoch)) throw damaged({ key }, `the key of its epoch ${pack.epoch} is not in the repository`)
  const stored = await store.get(key, { offsetBytes: frame.offsetBytes, lengthBytes: frame.storedBytes })
  if (stored === undefined) throw damaged({ key }, 'it is missing')
  const salt = Buffer.from(pack.salt, 'base64url')
  const plain = openFrameSync(deriveObjectKey(sealing, { kind: 'pack', key, epoch: pack.epoch, salt }), frame, stored)
  if (plain === undefined || contentId(sealing, plain) !== frame.contentId) {
    throw damaged({ key }, `its frame ${frame.index} is not what was written`)
  }
  return plain.subarray(frameOffsetBytes, frameOffsetBytes + lengthBytes)
}
