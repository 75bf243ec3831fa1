/** The stage of the soak: a server under traffic, a repository, and a receiver that is started again whenever it dies. */
import { writeFileSync } from 'node:fs'
import { sleep } from '../../src/base/abort.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { startTraffic, type Traffic } from '../../src/demo/cinetrack/traffic.ts'
import { generateKey, type KeyMaterial } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { type CliRun, runCli, startCli } from '../support/cli.ts'
import { waitStreaming } from '../support/lab.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { makeTemp, type TempDirectory } from '../support/temp.ts'

export interface StageOptions {
  readonly major: number
  readonly scale: number
  readonly seed: number
  readonly synchronous: boolean
  readonly transactionsPerSecond?: number | undefined
  readonly say: (line: string) => void
}

export class Stage implements AsyncDisposable {
  readonly server: TestServer
  readonly traffic: Traffic
  readonly temp: TempDirectory
  readonly url: string
  readonly key: KeyMaterial
  readonly #options: StageOptions
  #receiver: CliRun | undefined
  #supervising = true
  #supervisor: Promise<void>

  private constructor(parts: Pick<Stage, 'server' | 'traffic' | 'temp' | 'url' | 'key'>, options: StageOptions) {
    this.server = parts.server
    this.traffic = parts.traffic
    this.temp = parts.temp
    this.url = parts.url
    this.key = parts.key
    this.#options = options
    this.#supervisor = this.#supervise()
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { major, scale, seed } = options
    const server = await startTestServer({
      major,
      walSegmentSizeMb: 1,
      settings: { max_wal_size: '64MB', checkpoint_timeout: '30s' },
    })
    const temp = makeTemp({ label: 'soak' })
    const key = generateKey()
    writeFileSync(temp.join('key'), formatKeyText(key.bytes), { mode: 0o600 })
    const url = temp.join('repository')
    await (await createRepository(url, key))[Symbol.asyncDispose]()
    await installCineTrack({ target: server.target, scale, seed })
    const traffic = await startTraffic({
      ...{ target: server.target, scale, seed, marks: true, reconnect: true, connections: 4 },
      transactionsPerSecond: options.transactionsPerSecond,
    })
    const env = environmentOf({ url, temp, server })
    const initialised = await runCli(['init', '--json'], { env })
    if (initialised.code !== 0) throw new Error(`retake init failed: ${initialised.stdout}${initialised.stderr}`)
    const stage = new Stage({ server, traffic, temp, url, key }, options)
    await stage.receiving()
    if (options.synchronous) {
      await server.query(`alter system set synchronous_standby_names = 'retake'`)
      await server.query('select pg_reload_conf()')
    }
    return stage
  }

  get env(): Record<string, string> {
    return environmentOf(this)
  }

  /** The receiver's process, when one is running. */
  get receiver(): CliRun | undefined {
    return this.#receiver
  }

  start(args: readonly string[]): CliRun {
    return startCli([...args, '--json', '--quiet', '--no-input'], { env: this.env, cwd: this.temp.path })
  }

  /** Resolves when a receiver is streaming. */
  receiving(): Promise<void> {
    return waitStreaming(this.server, 120_000)
  }

  /** In order, as a service manager does: what was received is written down. */
  async stopReceiver(): Promise<void> {
    this.#supervising = false
    this.#receiver?.child.kill('SIGTERM')
    await this.#supervisor
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.traffic.stop()
    await this.stopReceiver()
    await this.server[Symbol.asyncDispose]()
    await this.temp[Symbol.asyncDispose]()
  }

  async #supervise(): Promise<void> {
    const flags = this.#options.synchronous ? ['--synchronous'] : []
    while (this.#supervising) {
      this.#receiver = this.start(['wal', 'receive', ...flags])
      const { code, signal, stdout, stderr } = await this.#receiver.ended
      if (signal === null && code !== 0 && this.#supervising)
        this.#options.say(`the receiver ended with ${code}: ${stdout}${stderr}`.trim())
      if (this.#supervising) await sleep(50)
    }
  }
}

function environmentOf(stage: {
  readonly url: string
  readonly temp: TempDirectory
  readonly server: TestServer
}): Record<string, string> {
  return {
    RETAKE_REPO: stage.url,
    RETAKE_KEY_FILE: stage.temp.join('key'),
    RETAKE_DATABASE_URL: stage.server.url,
    RETAKE_WORKERS: '1',
  }
}
