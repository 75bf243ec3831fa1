import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import type { ClusterRepository } from '../cluster.ts'
import { ContainerWriter } from '../container.ts'
import { packIdPrefix, packKey } from '../layout.ts'
import type { PackPlace, PlacedFrame } from '../repack.ts'

/** As the packs of backups are. */
const PACK_TARGET_BYTES = 64 * 1024 * 1024

export interface RepackWriterOptions {
  /** Begins the ids of the new packs. */
  readonly runId: string
  /** zstd level. */
  readonly compressionLevel?: number | undefined
  readonly packTargetBytes?: number | undefined
}

/** Fills packs one after the other. A frame is durable only when {@link finish} has resolved. */
export class RepackWriter implements AsyncDisposable {
  readonly #cluster: ClusterRepository
  readonly #options: RepackWriterOptions
  #open: { readonly place: PackPlace; readonly container: ContainerWriter } | undefined
  #writtenBytes = 0

  constructor(cluster: ClusterRepository, options: RepackWriterOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** Stored bytes of the packs that are durable. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  async write(plain: Uint8Array, contentId: string): Promise<PlacedFrame> {
    this.#open ??= await this.#begin()
    const { place, container } = this.#open
    const location = await container.writeFrame(plain, { contentId, level: this.#options.compressionLevel })
    if (container.sizeBytes >= (this.#options.packTargetBytes ?? PACK_TARGET_BYTES)) await this.finish()
    return { pack: place, frame: { ...location, contentId } }
  }

  async finish(): Promise<void> {
    const open = this.#open
    if (open === undefined) return
    if (!(await open.container.commit({ backupId: this.#options.runId }))) {
      throw new RetakeError(
        'repo.conflict',
        `A pack named ${open.place.packId} exists already; nothing refers to it.`,
        {
          hint: 'Prune again: new names are drawn.',
        },
      )
    }
    this.#writtenBytes += open.container.sizeBytes
    this.#open = undefined
    await open.container[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.container[Symbol.asyncDispose]()
    this.#open = undefined
  }

  async #begin() {
    const { store, sealing } = this.#cluster
    const packId = packIdPrefix(this.#options.runId) + randomId(12)
    const container = await ContainerWriter.open(store, sealing, { key: packKey(packId), kind: 'pack' })
    const salt = Buffer.from(container.salt).toString('base64url')
    return { place: { packId, salt, epoch: sealing.epoch }, container }
  }
}
