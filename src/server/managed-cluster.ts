/** One cluster that the server looks after: its repository, opened when it is first needed, and again after it could not be used. */
import type { Logger } from '../base/progress.ts'
import { openRetake, type Retake, type RetakeOptions } from '../engine/open.ts'
import type { ClusterConfig } from './config.ts'

export class ManagedCluster implements AsyncDisposable {
  readonly name: string
  readonly options: RetakeOptions
  #opened: Promise<Retake> | undefined

  constructor({ name, options }: ClusterConfig, logger: Logger) {
    this.name = name
    this.options = { ...options, logger }
  }

  /** @throws RetakeError as {@link openRetake} */
  open(): Promise<Retake> {
    this.#opened ??= this.#openOnce()
    return this.#opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const retake = await this.#opened?.catch(() => undefined)
    await retake?.[Symbol.asyncDispose]()
  }

  async #openOnce(): Promise<Retake> {
    try {
      return await openRetake(this.options)
    } catch (error) {
      // Who comes later tries again.
      this.#opened = undefined
      throw error
    }
  }
}
