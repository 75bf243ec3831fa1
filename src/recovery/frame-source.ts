/** Reads single frames of a backup's packs; for the few small files that are looked at before a restore. Bulk goes through workers. */
import { RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { damaged } from '../repository/container.ts'
import type { FileEntry, FrameRef, PackEntry } from '../repository/manifest.ts'
import { contentId } from '../repository/sealing.ts'
import { openPackFrame, type PackKey, packKeyOf, readFrameElsewhere } from './pack-frames.ts'

/** At most 1 MiB each. */
const RECENT_FRAMES = 8

export class FrameSource {
  readonly #cluster: ClusterRepository
  readonly #packs: readonly PackEntry[]
  readonly #keys = new Map<number, PackKey>()
  /** The frames that were read last: several small files, and the pieces of one, lie in the same. */
  readonly #recent = new Map<string, Promise<Uint8Array>>()

  constructor(cluster: ClusterRepository, packs: readonly PackEntry[]) {
    this.#cluster = cluster
    this.#packs = packs
  }

  /** The whole content of a small file. @throws RetakeError `repo.damaged` */
  async readFile(file: FileEntry): Promise<Buffer> {
    const content = Buffer.alloc(file.sizeBytes)
    for (const run of file.runs) {
      if (!run.frame) continue
      const plain = await this.#recentFrame(run.frame)
      content.set(plain.subarray(run.frameOffsetBytes, run.frameOffsetBytes + run.lengthBytes), run.offsetBytes)
    }
    return content
  }

  #recentFrame(frame: FrameRef): Promise<Uint8Array> {
    const key = `${frame.pack}/${frame.offsetBytes}`
    const known = this.#recent.get(key)
    if (known) return known
    const read = this.#frame(frame)
    this.#recent.set(key, read)
    const [oldest] = this.#recent.keys()
    if (this.#recent.size > RECENT_FRAMES && oldest !== undefined) this.#recent.delete(oldest)
    return read
  }

  async #frame(frame: FrameRef): Promise<Uint8Array> {
    const { store, sealing } = this.#cluster
    const entry = this.#packs[frame.pack]
    if (!entry)
      throw new RetakeError('repo.damaged', `The manifest refers to pack ${frame.pack}, which it does not declare.`)
    const pack = this.#keys.get(frame.pack) ?? packKeyOf(sealing, entry)
    this.#keys.set(frame.pack, pack)
    const stored = await store.get(pack.key, { offsetBytes: frame.offsetBytes, lengthBytes: frame.storedBytes })
    if (!stored) throw damaged(pack, 'it is missing')
    const plain = openPackFrame(pack, frame, stored)
    if (plain && contentId(sealing, plain) === frame.contentId) return plain
    return await readFrameElsewhere({ store, sealing }, pack, frame)
  }
}
