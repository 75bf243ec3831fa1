/**
 * Makes the disk begin early: the kernel would keep what is written in memory until the barrier at the end, and the disk would
 * be idle while frames are unpacked. This only spreads the work; durability comes from the barrier alone.
 */
import { syncTrees } from './durable-files.ts'

/** Small enough that little is left at the end, large enough that the journal of the filesystem is not written all the time. */
const FLUSH_BYTES = 128 * 1024 * 1024

export class WriteBack implements AsyncDisposable {
  readonly #flush: () => Promise<unknown>
  #flushedBytes = 0
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** @param flush by default a flush of the filesystems that hold the directories */
  constructor(directories: readonly string[], flush: () => Promise<unknown> = () => syncTrees(directories)) {
    this.#flush = flush
  }

  /** So much was written until now; begins a flush when it is worth one and none is running. */
  wrote(totalBytes: number): void {
    if (this.#running || this.#failure || totalBytes - this.#flushedBytes < FLUSH_BYTES) return
    this.#flushedBytes = totalBytes
    this.#running = this.#flush()
      .then(
        () => {},
        (error: unknown) => {
          this.#failure = { error }
        },
      )
      .finally(() => {
        this.#running = undefined
      })
  }

  /**
   * Waits for the flush that is running. Must be called before the barrier: Linux reports a failed write once, so an error that
   * a flush was told would be unknown to the barrier.
   * @throws RetakeError `storage.failed` of the first flush that failed
   */
  async settle(): Promise<void> {
    await this.#running
    if (this.#failure) throw this.#failure.error
  }

  /** A restore that fails leaves no flush behind. What the flush says of the disk does not matter any more: nothing was finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running
  }
}
