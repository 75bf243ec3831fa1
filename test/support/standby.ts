/** A streaming standby of a test server, in a directory beside it. */
import { execFile } from 'node:child_process'
import { chown, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sleep } from '../../src/base/abort.ts'
import { assert } from '../../src/base/errors.ts'
import type { Queryable } from '../../src/demo/content-digest.ts'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'
import { openSql } from '../../src/postgres/connection/sql.ts'
import type { SqlConnection } from '../../src/postgres/connection/sql-connection.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { LocalServer } from '../../src/postgres/server/local-server.ts'
import { defaultSettings, localTarget, type TestServer } from './postgres.ts'

const run = promisify(execFile)

export class Standby implements AsyncDisposable, Queryable {
  readonly dataDir: string
  readonly #primary: TestServer
  #server: LocalServer | undefined
  #sql: SqlConnection | undefined

  private constructor(primary: TestServer) {
    this.#primary = primary
    this.dataDir = join(primary.directory, 'standby')
  }

  /** Stops the primary for a moment, to copy it. */
  static async start(primary: TestServer): Promise<Standby> {
    const standby = new Standby(primary)
    await primary.stop()
    await run('cp', ['-Rp', primary.dataDir, standby.dataDir])
    await primary.restart()
    // As after a base backup: slots are a matter of each server.
    const slots = join(standby.dataDir, 'pg_replslot')
    for (const slot of await readdir(slots)) await rm(join(slots, slot), { recursive: true })
    await standby.follow()
    return standby
  }

  /** Starts it as a standby of its primary, also after a promotion (then it has a timeline of its own, and waits there). */
  async follow(): Promise<void> {
    await this.#stop()
    const { superuser: user, server, binDir, dataDir } = this.#primary
    const signal = join(this.dataDir, 'standby.signal')
    await writeFile(signal, '')
    const account = serverAccount(dataDir)
    if (account) await chown(signal, account.uid, account.gid)
    const settings = { ...defaultSettings, primary_conninfo: `host=127.0.0.1 port=${server.port} user=${user}` }
    this.#server = await LocalServer.start({ binDir, dataDir: this.dataDir, settings, user })
    this.#sql = await openSql(this.target)
  }

  get target(): ConnectionTarget {
    assert(this.#server, 'the standby runs')
    return localTarget({ port: this.#server.port, user: this.#primary.superuser })
  }

  async query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]> {
    assert(this.#sql, 'the standby runs')
    return await this.#sql.query<R>(text, values)
  }

  /** Waits until it has replayed everything that the primary has written by now. */
  async catchUp(): Promise<void> {
    const lsn = await this.#primary.currentLsn()
    for (;;) {
      const [row] = await this.query<{ done: boolean }>('select pg_last_wal_replay_lsn() >= $1::pg_lsn as done', [lsn])
      if (row?.done) return
      await sleep(20)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
  }

  async #stop(): Promise<void> {
    await this.#sql?.[Symbol.asyncDispose]()
    await this.#server?.[Symbol.asyncDispose]()
  }
}
