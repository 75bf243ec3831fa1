/**
 * The files that are being read by workers. A descriptor is valid in every thread of the process, so a file is opened once and
 * read in parallel; whatever happens to its name meanwhile, all of it comes from the same file.
 */
import { closeSync } from 'node:fs'
import { throwIfAborted } from '../../../base/abort.ts'
import type { FrameJob } from '../frame-cutter.ts'

export class OpenFiles {
  /** What of each descriptor is still to be read, in bytes. */
  readonly #unread = new Map<number, number>()
  #idle: (() => void) | undefined

  /** Takes over a descriptor of which `lengthBytes` will be read. */
  add(descriptor: number, lengthBytes: number): void {
    this.#unread.set(descriptor, lengthBytes)
  }

  /** The pieces of a frame were read; a file is closed with its last one. */
  stored(job: FrameJob): void {
    for (const { descriptor, lengthBytes } of job.pieces) {
      if (descriptor === undefined) continue
      const left = (this.#unread.get(descriptor) ?? 0) - lengthBytes
      if (left > 0) this.#unread.set(descriptor, left)
      else this.#close(descriptor)
    }
    if (this.#unread.size === 0) this.#idle?.()
  }

  /** Resolves when everything that was added has been read, or rejects when the signal fires. */
  async allRead(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    if (this.#unread.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    throwIfAborted(signal)
  }

  /** Only when no thread reads any more: a descriptor that is closed may soon be another file's. */
  [Symbol.dispose](): void {
    for (const descriptor of [...this.#unread.keys()]) this.#close(descriptor)
  }

  #close(descriptor: number): void {
    this.#unread.delete(descriptor)
    closeSync(descriptor)
  }
}
