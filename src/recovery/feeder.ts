/**
 * Serves WAL to a recovering server out of a spool that is filled ahead of the replay: decrypting and unpacking happen
 * before the server asks, and a request is a rename. The protocol with the script is in `fetch-script.ts`.
 *
 * Invariants: a file appears in `ready` whole or not at all; the number of files ahead is bounded; once anything failed,
 * nothing is ever answered `absent` any more.
 */
import { chmod, chown, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { sleep } from '../base/abort.ts'
import { RetakeError, systemErrorCode, toRetakeError } from '../base/errors.ts'
import { releaseMemory } from '../base/memory.ts'
import { renderFetchScript, renderFrozenScript, restoreCommandOf, spoolPaths } from './fetch-script.ts'

export interface FeederSource {
  /** Files in the order in which they will probably be asked for. */
  readonly sequence: Iterable<string>
  /**
   * The whole content of a file, or undefined when it is certainly absent. The pieces are used up: their memory is given back.
   * @throws RetakeError when it cannot be delivered; recovery then stops
   */
  open(name: string): Promise<AsyncIterable<Uint8Array> | undefined>
}

export interface FeederOptions {
  readonly spoolDirectory: string
  readonly source: FeederSource
  /** Files kept ready ahead of the replay. */
  readonly filesAhead: number
  /** The server's account when it is not ours; the files are given to it. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined
  readonly onDelivered?: ((delivered: { readonly files: number; readonly bytes: number }) => void) | undefined
}

const POLL_MS = 10
const BEAT_MS = 500

export class WalFeeder implements AsyncDisposable {
  readonly restoreCommand: string
  readonly #options: FeederOptions
  readonly #paths: ReturnType<typeof spoolPaths>
  readonly #stop = new AbortController()
  readonly #upcoming: Iterator<string>
  /** Files that were put into `ready` and are not yet taken, and those ever taken. */
  readonly #ready = new Map<string, number>()
  readonly #served = new Set<string>()
  #next: string | undefined
  #failure: RetakeError | undefined
  #running: Promise<void> = Promise.resolve()
  #beats = 0
  #beatTimer: NodeJS.Timeout | undefined
  #frozen = false
  #files = 0
  #bytes = 0

  private constructor(options: FeederOptions) {
    this.#options = options
    this.#paths = spoolPaths(options.spoolDirectory)
    this.restoreCommand = restoreCommandOf(options.spoolDirectory)
    this.#upcoming = options.source.sequence[Symbol.iterator]()
    this.#advance()
  }

  /** Makes the spool (its parent must exist) and begins to fill it. */
  static async start(options: FeederOptions): Promise<WalFeeder> {
    const feeder = new WalFeeder(options)
    await rm(options.spoolDirectory, { recursive: true, force: true })
    const { ready, want, absent, filling, script } = feeder.#paths
    for (const directory of [options.spoolDirectory, ready, want, absent, filling]) {
      await mkdir(directory, { mode: 0o700 })
      await feeder.#give(directory)
    }
    await writeFile(script, renderFetchScript(options.spoolDirectory, { feederPid: process.pid }), { mode: 0o500 })
    await feeder.#give(script)
    await feeder.#beat()
    feeder.#beatTimer = setInterval(() => void feeder.#beat(), BEAT_MS)
    feeder.#running = feeder.#run()
    return feeder
  }

  /** Why the server was refused further WAL; the root cause when its recovery stopped. */
  get failure(): RetakeError | undefined {
    return this.#failure
  }

  /** What was taken by the server so far; a file asked for twice counts twice. */
  get delivered(): { readonly files: number; readonly bytes: number } {
    return { files: this.#files, bytes: this.#bytes }
  }

  /**
   * Stops serving, and leaves in the spool what a server at its target needs to go on without us.
   * @param histories the names of all history files of the archive
   */
  async freeze(histories: readonly string[]): Promise<void> {
    await this.#end()
    const { histories: directory, script, ready, want, absent, filling, beat } = this.#paths
    for (const leftover of [ready, want, absent, filling]) await rm(leftover, { recursive: true, force: true })
    await rm(beat, { force: true })
    await mkdir(directory, { mode: 0o700 })
    await this.#give(directory)
    for (const name of histories) {
      const content = await this.#options.source.open(name)
      if (content) await this.#fill(path.join(directory, name), content)
    }
    // Last, and in one step: until now the old script refuses.
    await writeFile(`${script}.new`, renderFrozenScript(this.#options.spoolDirectory), { mode: 0o500 })
    await this.#give(`${script}.new`)
    await rename(`${script}.new`, script)
    this.#frozen = true
  }

  /** Stops serving and removes the spool, unless it was frozen. A script that still waits exits with 126. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    if (!this.#frozen) await rm(this.#options.spoolDirectory, { recursive: true, force: true, maxRetries: 3 })
  }

  async #end(): Promise<void> {
    this.#stop.abort()
    clearInterval(this.#beatTimer)
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && this.#failure === undefined) {
      try {
        if (!(await this.#step())) await sleep(POLL_MS, this.#stop.signal)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        await this.#fail(spoolError(error, this.#options.spoolDirectory))
      }
    }
  }

  /** One action; false when there was nothing to do. */
  async #step(): Promise<boolean> {
    await this.#noteTaken()
    const wanted = await readdir(this.#paths.want)
    for (const name of wanted) {
      if (this.#ready.has(name)) continue
      await this.#answer(name)
      return true
    }
    if (this.#next === undefined || this.#ready.size >= this.#options.filesAhead) return false
    const name = this.#next
    this.#advance()
    // The server may have asked for it out of turn.
    if (!this.#ready.has(name) && !this.#served.has(name)) await this.#answer(name)
    return true
  }

  async #answer(name: string): Promise<void> {
    const content = await unlessAborted(this.#options.source.open(name), this.#stop.signal)
    if (content === undefined) {
      await writeFile(path.join(this.#paths.absent, name), '')
      await rm(path.join(this.#paths.want, name), { force: true })
      return
    }
    const filling = path.join(this.#paths.filling, name)
    const bytes = await this.#fill(filling, content)
    this.#ready.set(name, bytes)
    await rename(filling, path.join(this.#paths.ready, name))
  }

  async #fill(file: string, content: AsyncIterable<Uint8Array>): Promise<number> {
    await using handle = await open(file, 'w', 0o600)
    if (this.#options.account) await handle.chown(this.#options.account.uid, this.#options.account.gid)
    let written = 0
    for await (const piece of content) {
      const { length } = piece
      await handle.writeFile(piece)
      releaseMemory(piece)
      written += length
    }
    return written
  }

  async #noteTaken(): Promise<void> {
    const present = new Set(await readdir(this.#paths.ready))
    const taken = [...this.#ready].filter(([name]) => !present.has(name))
    for (const [name, bytes] of taken) {
      this.#ready.delete(name)
      this.#served.add(name)
      this.#files += 1
      this.#bytes += bytes
    }
    if (taken.length > 0) this.#options.onDelivered?.(this.delivered)
  }

  async #fail(error: RetakeError): Promise<void> {
    this.#failure = error
    const draft = `${this.#paths.filling}/failed`
    try {
      await writeFile(draft, `retake: ${error.code}: ${error.message}\n`)
      await this.#give(draft)
      await rename(draft, this.#paths.failed)
    } catch {
      // It cannot even be said (a full disk): falling silent makes the script give up too.
      clearInterval(this.#beatTimer)
    }
  }

  async #give(file: string): Promise<void> {
    const { account } = this.#options
    if (account) await chown(file, account.uid, account.gid)
    else await chmod(file, 0o700)
  }

  async #beat(): Promise<void> {
    this.#beats += 1
    try {
      await writeFile(this.#paths.beat, `${this.#beats}\n`, { mode: 0o644 })
    } catch {
      // A beat that cannot be written is a beat that the script misses, which is what it is for.
    }
  }

  #advance(): void {
    const next = this.#upcoming.next()
    this.#next = next.done ? undefined : next.value
  }
}

function spoolError(error: unknown, spool: string): RetakeError {
  if (systemErrorCode(error) !== 'ENOSPC') return toRetakeError(error)
  return new RetakeError(
    'storage.full',
    `The filesystem of ${spool} is full; WAL for the recovery cannot be laid there.`,
    {
      hint: 'Free space there, or restore to a larger filesystem.',
      cause: error,
    },
  )
}

/** The promise's value, or a rejection as soon as the signal fires; what the promise does later is nobody's concern. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}
