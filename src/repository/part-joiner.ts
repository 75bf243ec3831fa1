/**
 * Joins the many small parts of a storage that cannot append. The joined part is durable before the small ones are deleted, and
 * overlapping parts are read as one, so a crash in between costs nothing.
 */
import type { ClusterRepository } from './cluster.ts'
import { type LadderPart, PartLadder } from './part-ladder.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'
import { openPart } from './tail-parts.ts'
import { sealRecord } from './tail-records.ts'
import type { TailId } from './wal-layout.ts'

export class PartJoiner {
  readonly #cluster: ClusterRepository
  readonly #tail: TailId
  readonly #ladder = new PartLadder()
  #pending: Uint8Array[] = []
  #joining: Promise<void> | undefined

  constructor(cluster: ClusterRepository, tail: TailId) {
    this.#cluster = cluster
    this.#tail = tail
  }

  /** Goes into the part that the next sync makes; the bytes are copied. */
  append(plain: Uint8Array): void {
    this.#pending.push(plain.slice())
  }

  /** The part is durable. Joining goes on beside further writing. */
  synced(part: { readonly key: string; readonly offsetBytes: number }): void {
    if (this.#pending.length === 0) return
    const plain = this.#pending
    this.#pending = []
    this.#ladder.add({ ...part, plain, sizeBytes: sizeOf(plain) })
    this.#start()
  }

  /** Waits for what is being joined: nothing is written to the tail any more when it resolves. */
  async settle(): Promise<void> {
    await this.#joining
  }

  #start(): void {
    const group = this.#joining ? undefined : this.#ladder.due()
    if (group === undefined) return
    this.#joining = this.#join(group)
      // The small parts are still there and hold everything. It is tried again after the next sync.
      .catch(() => {})
      .finally(() => {
        this.#joining = undefined
      })
  }

  async #join(group: readonly LadderPart[]): Promise<void> {
    const offsetBytes = group[0]?.offsetBytes ?? 0
    const plain = Buffer.concat(group.flatMap((part) => part.plain))
    const part = await openPart(this.#cluster, { ...this.#tail, offsetBytes })
    for (let start = 0; start < plain.length; start += MAX_FRAME_BYTES) {
      const piece = plain.subarray(start, start + MAX_FRAME_BYTES)
      await part.append(sealRecord(part.objectKey, { index: part.count, durable: part.durable, plain: piece }))
      part.count += 1
    }
    await part.sync()
    this.#ladder.join(group, { key: part.key, offsetBytes, plain: [plain], sizeBytes: plain.length })
    await Promise.all(group.map(({ key }) => this.#cluster.store.delete(key)))
  }
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}
