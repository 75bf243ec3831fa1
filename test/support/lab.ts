/** A protected server for end-to-end tests: repository, registered cluster, receiver, backup, restore, all through the library. */
import { sleep } from '../../src/base/abort.ts'
import { isRetakeError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/progress.ts'
import type { Queryable } from '../../src/demo/content-digest.ts'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'
import { openReplication } from '../../src/postgres/replication/connection.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { generateKey, type KeyMaterial } from '../../src/repository/keys/key-material.ts'
import type { BackupSummary } from '../../src/repository/manifest.ts'
import { createRepository, openRepository, type Repository } from '../../src/repository/repository.ts'
import { type BackUpOptions, backUp } from '../../src/sources/physical/backup.ts'
import { readServerSettings } from '../../src/sources/physical/preflight.ts'
import { receiveWal } from '../../src/sources/physical/receiver.ts'
import { ServerLine } from '../../src/sources/physical/server-line.ts'
import type { TestServer } from './postgres.ts'
import { makeTemp, type TempDirectory } from './temp.ts'

export interface Protection extends AsyncDisposable {
  readonly server: TestServer
  readonly repository: Repository
  readonly cluster: ClusterRepository
  readonly key: KeyMaterial
  /** The directory of the repository. */
  readonly url: string
  readonly temp: TempDirectory
  readonly slot: string
  /** By default as an installation would: from the server's files, which are on this machine. */
  backUp(options?: Pick<BackUpOptions, 'signal' | 'type' | 'via'>): Promise<BackupSummary>
  /** Receives in the background until the returned receiver is stopped. */
  receive(options?: { readonly synchronous?: boolean; readonly target?: ConnectionTarget }): Receiver
  /** Fetches what the server has now, and ends. */
  catchUp(): Promise<void>
}

export interface Receiver extends AsyncDisposable {
  /** @throws what the receiver failed with */
  stop(): Promise<void>
}

export interface ProtectOptions {
  /** Default `main`. */
  readonly cluster?: string | undefined
  /** An existing repository, to put another cluster into it. */
  readonly into?: { readonly url: string; readonly key: KeyMaterial } | undefined
  readonly logger?: Logger | undefined
}

/** Makes a repository beside nothing else, registers the server and creates its slot. */
export async function protect(server: TestServer, options: ProtectOptions = {}): Promise<Protection> {
  const temp = makeTemp({ label: 'repo' })
  const key = options.into?.key ?? generateKey()
  const url = options.into?.url ?? temp.join('repository')
  const repository = options.into ? await openRepository(url, key) : await createRepository(url, key)
  const name = options.cluster ?? 'main'
  const slot = `retake_${name}`
  const { target } = server
  const cluster = await repository.registerCluster({ name, slot, ...(await readFacts(target, slot)) })
  return {
    server,
    repository,
    cluster,
    key,
    url,
    temp,
    slot,
    backUp: (more) => backUp({ cluster, target, workers: 1, ...more }),
    receive: (more = {}) => startReceiver({ cluster, target, slot, ...more }),
    catchUp: async () => void (await receiveWal({ cluster, target, slot, until: { kind: 'caught-up' } })),
    async [Symbol.asyncDispose]() {
      await repository[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    },
  }
}

async function readFacts(target: ConnectionTarget, slot: string) {
  await using replication = await openReplication(target)
  const { systemIdentifier } = await replication.identifySystem()
  await replication.createPhysicalSlot(slot)
  await using line = new ServerLine(target, { applicationName: 'retake test' })
  const { serverVersionNum, walSegmentSizeBytes, blockSizeBytes } = await readServerSettings(line)
  return { systemIdentifier, serverVersionNum, walSegmentSizeBytes, blockSizeBytes }
}

function startReceiver(options: Parameters<typeof receiveWal>[0]): Receiver {
  const controller = new AbortController()
  const running = receiveWal({ ...options, signal: controller.signal }).then(
    () => undefined,
    (error: unknown) => (isRetakeError(error, 'aborted') ? undefined : error),
  )
  const receiver: Receiver = {
    async stop() {
      controller.abort()
      const error = await running
      if (error !== undefined) throw error
    },
    [Symbol.asyncDispose]: () => receiver.stop(),
  }
  return receiver
}

/** Waits until a receiver streams: from then on its slot holds the WAL. */
export async function waitStreaming(server: Queryable, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const [row] = await server.query<{ streaming: boolean }>(
      `select exists (select from pg_stat_replication where state = 'streaming') as streaming`,
    )
    if (row?.streaming) return
    if (performance.now() > deadline) throw new Error(`no receiver streams after ${timeoutMs} ms`)
    await sleep(20)
  }
}

/** Waits until the slot's receiver has confirmed everything that the server has written by now. */
export async function waitArchived(server: Queryable, timeoutMs = 60_000): Promise<void> {
  const [now] = await server.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn')
  const lsn = now?.lsn
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const [row] = await server.query<{ done: boolean | null }>(
      'select bool_and(flush_lsn >= $1::pg_lsn) as done from pg_stat_replication',
      [lsn],
    )
    if (row?.done) return
    if (performance.now() > deadline) throw new Error(`the receiver did not confirm ${lsn} within ${timeoutMs} ms`)
    await sleep(20)
  }
}
