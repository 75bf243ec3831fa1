import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { sleep, throwIfAborted } from '../../base/abort.ts'
import { RetakeError } from '../../base/errors.ts'
import type { ConnectionTarget } from '../connection/config.ts'
import { requireReachable, serverAccount } from './account.ts'
import { readServerLogTail } from './log-tail.ts'
import { readPostmasterFile } from './postmaster-file.ts'
import { killServerProcesses } from './process-tree.ts'
import type { LocalServerOptions } from './server-options.ts'
import { preparePlace, type ServerExit, type ServerPlace, type SpawnedServer, spawnServer } from './spawn-server.ts'

export type StopMode = 'smart' | 'fast' | 'immediate'

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const PORT_ATTEMPTS = 5

/**
 * A PostgreSQL server that this process started and owns: it is stopped when the object is disposed, and when this process
 * exits, unless it was handed over with {@link LocalServer.release}.
 *
 * @example
 * await using server = await LocalServer.start({ binDir, dataDir })
 * const sql = await openSql(server.target())
 */
export class LocalServer implements AsyncDisposable {
  readonly dataDir: string
  readonly port: number
  readonly socketDir: string
  readonly pid: number
  readonly logFile: string
  /** Resolves when the postmaster has ended, however it did. */
  readonly exited: Promise<ServerExit>
  readonly #user: string
  readonly #child: SpawnedServer['child']
  readonly #privateDir: string | undefined
  readonly #onProcessExit = () => {
    this.#signal('SIGQUIT')
    if (this.#privateDir !== undefined) rmSync(this.#privateDir, { recursive: true, force: true })
  }
  #exit: ServerExit | undefined
  #released = false

  private constructor(spawned: SpawnedServer, place: ServerPlace, user: string) {
    this.#child = spawned.child
    this.pid = spawned.pid
    this.dataDir = place.dataDir
    this.port = place.port
    this.socketDir = place.socketDir
    this.logFile = place.logFile
    this.#privateDir = place.privateDir
    this.#user = user
    process.on('exit', this.#onProcessExit)
    this.exited = spawned.exited.then((exit) => {
      this.#exit = exit
      return exit
    })
  }

  /**
   * Starts `postgres` on a data directory.
   * @throws RetakeError `postgres.server` with the end of the server's log; `aborted`
   */
  static async start(options: LocalServerOptions): Promise<LocalServer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await LocalServer.#startOnce(options)
      } catch (error) {
        const portWasTaken = error instanceof RetakeError && error.details.portTaken === true
        // Somebody else took the port between our looking and the server's binding.
        if (!portWasTaken || options.port !== undefined || attempt === PORT_ATTEMPTS) throw error
      }
    }
  }

  static async #startOnce(options: LocalServerOptions): Promise<LocalServer> {
    throwIfAborted(options.signal)
    const account = options.account ?? serverAccount(options.dataDir)
    await requireReachable(options.dataDir, account)
    const place = await preparePlace(options, account)
    const server = new LocalServer(await spawnServer(options, place, account), place, options.user ?? 'postgres')
    try {
      if (options.waitFor !== 'none') {
        await server.waitReady({ signal: options.signal, timeoutMs: options.readyTimeoutMs ?? 60_000 })
      }
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Waits until the server accepts connections. A server in recovery counts as ready once it answers queries, or, with
   * `hot_standby` off, once it replays; neither is the end of recovery.
   * @throws RetakeError `postgres.server` when it ended instead; `timeout`; `aborted`
   */
  async waitReady(
    options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined } = {},
  ): Promise<void> {
    const deadline = options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.timeoutMs
    for (let waitMs = 5; ; waitMs = Math.min(waitMs * 1.5, 100)) {
      if (this.#exit !== undefined) throw await this.#startFailure(this.#exit)
      const state = await readPostmasterFile(this.dataDir)
      if (state?.pid === this.pid && (state.status === 'ready' || state.status === 'standby')) return
      if (performance.now() > deadline) {
        const tail = await readServerLogTail(this.logFile)
        throw new RetakeError(
          'timeout',
          `The server in ${this.dataDir} was not ready after ${(options.timeoutMs ?? 0) / 1000} s:\n${tail.join('\n')}`,
        )
      }
      await sleep(waitMs, options.signal)
    }
  }

  /** How to connect: through the private socket, which only this account can reach. */
  target(database = 'postgres'): ConnectionTarget {
    return {
      config: { host: this.socketDir, port: this.port, user: this.#user, database },
      display: `postgres://${this.#user}@localhost:${this.port}/${database}`,
    }
  }

  /**
   * Shuts the server down, waits for its end and removes its private directory: `fast` (default) rolls open transactions back, `smart` waits for the sessions
   * to leave, `immediate` is a crash with a clean exit. Returns at once when it has already ended.
   * @throws RetakeError `timeout` after `timeoutMs` (default 60,000); the server is then still shutting down
   */
  async stop(mode: StopMode = 'fast', options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    const { timeoutMs = 60_000 } = options
    this.#signal(STOP_SIGNALS[mode])
    if (await this.#endsWithin(timeoutMs)) return this.#cleanUp()
    throw new RetakeError(
      'timeout',
      `The server in ${this.dataDir} did not stop within ${timeoutMs / 1000} s (${mode}).`,
      {
        hint:
          mode === 'immediate'
            ? 'Look at its log.'
            : 'A standby or session that does not answer may hold it; stop it with mode immediate.',
        details: { logFile: this.logFile },
      },
    )
  }

  /** SIGKILL of the postmaster and all its children, as when the machine crashes. Resolves when none is left. */
  async kill(): Promise<void> {
    if (this.#exit === undefined) {
      await killServerProcesses(this.pid)
      await this.exited
    }
    await this.#cleanUp()
  }

  /** Hands the server over: it keeps running when this object is disposed and when this process ends. Its log file must be a given one. */
  release(): void {
    this.#released = true
    process.off('exit', this.#onProcessExit)
    this.#child.unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return
    for (const [mode, timeoutMs] of [
      ['fast', 10_000],
      ['immediate', 5_000],
    ] as const) {
      if (this.#exit === undefined) this.#signal(STOP_SIGNALS[mode])
      if (await this.#endsWithin(timeoutMs)) break
    }
    await this.kill()
  }

  /** After the server's end: nothing of it stays behind but its data directory and a log file that was given. */
  async #cleanUp(): Promise<void> {
    process.off('exit', this.#onProcessExit)
    if (this.#privateDir !== undefined) await rm(this.#privateDir, { recursive: true, force: true })
  }

  #signal(signal: NodeJS.Signals): void {
    // The child object knows whether the process was reaped, so the pid cannot be another's by now.
    if (this.#exit === undefined) this.#child.kill(signal)
  }

  async #endsWithin(timeoutMs: number): Promise<boolean> {
    if (this.#exit !== undefined) return true
    const timer = new AbortController()
    const ended = this.exited.then(() => true)
    const late = sleep(timeoutMs, timer.signal).then(
      () => false,
      () => false,
    )
    try {
      return await Promise.race([ended, late])
    } finally {
      timer.abort()
    }
  }

  async #startFailure(exit: ServerExit): Promise<RetakeError> {
    const text = (await readServerLogTail(this.logFile)).join('\n')
    if (/lock file "postmaster.pid" already exists/.test(text)) {
      return new RetakeError('postgres.server', `A server is already running in ${this.dataDir}.`, {
        hint: 'Stop it first; two servers on one data directory would destroy it.',
      })
    }
    const how = exit.signal === null ? `status ${exit.code}` : exit.signal
    return new RetakeError(
      'postgres.server',
      `The server in ${this.dataDir} ended (${how}) before it was ready:\n${text}`,
      {
        hint: 'The last lines of its log say why.',
        details: { logFile: this.logFile, portTaken: /could not bind .*Address already in use/.test(text) },
      },
    )
  }
}
