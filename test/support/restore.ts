/** Restores for tests: laid out, or recovered to a running server that goes away with the object. */
import pg from 'pg'
import { sleep } from '../../src/base/abort.ts'
import type { Queryable } from '../../src/demo/content-digest.ts'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'
import { applyRestore } from '../../src/recovery/apply.ts'
import { planRestore } from '../../src/recovery/plan.ts'
import type { RestorePlan } from '../../src/recovery/plan-types.ts'
import type { RestoreReport } from '../../src/recovery/report.ts'
import { parseTarget } from '../../src/recovery/targets.ts'
import type { KeyMaterial } from '../../src/repository/keys/key-material.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { localTarget } from './postgres.ts'
import { makeTemp } from './temp.ts'

/** Where a restore comes from: nothing but URL, key and the cluster's name (R4). */
export interface RestoreSource {
  readonly url: string
  readonly key: KeyMaterial
  readonly clusterName?: string | undefined
}

export interface RestoreRequest {
  /** As `--at` takes it. */
  readonly at: string
  readonly backupId?: string | undefined
  readonly timeline?: number | undefined
  readonly then?: 'promote' | 'pause' | 'shutdown' | undefined
  readonly tablespaceMap?: Readonly<Record<string, string>> | undefined
  /** The superuser of the cluster; default `postgres`. */
  readonly superuser?: string | undefined
}

export interface LaidOut extends AsyncDisposable {
  readonly directory: string
  readonly plan: RestorePlan
  readonly report: RestoreReport
}

export interface RestoredServer extends LaidOut, Queryable {
  readonly target: ConnectionTarget
}

/** Fetches and writes the files, and starts nothing. */
export async function layOut(source: RestoreSource, request: RestoreRequest): Promise<LaidOut> {
  return execute(source, { ...request, start: false })
}

/** Restores, recovers, and connects as the superuser. */
export async function restore(source: RestoreSource, request: RestoreRequest): Promise<RestoredServer> {
  const laidOut = await execute(source, { ...request, start: true })
  const { server } = laidOut.report
  if (!server) {
    await laidOut[Symbol.asyncDispose]()
    throw new Error('no server is running after the restore')
  }
  const target = localTarget({ port: server.port, user: request.superuser ?? 'postgres' })
  const client = new pg.Client(target.config)
  await using undo = new AsyncDisposableStack()
  undo.use(laidOut)
  undo.defer(() => stopServer(server.pid))
  await client.connect()
  undo.defer(() => client.end())
  const keep = undo.move()
  return {
    ...laidOut,
    target,
    async query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]> {
      const result = await client.query<R>(text, values ? [...values] : undefined)
      return result.rows
    },
    [Symbol.asyncDispose]: () => keep.disposeAsync(),
  }
}

async function execute(source: RestoreSource, request: RestoreRequest & { readonly start: boolean }): Promise<LaidOut> {
  const temp = makeTemp({ label: 'restored' })
  try {
    await using repository = await openRepository(source.url, source.key)
    const cluster = await repository.openCluster(source.clusterName ?? 'main')
    const plan = await planRestore({
      cluster,
      target: parseTarget(request.at),
      targetDirectory: temp.join('data'),
      start: request.start,
      backupId: request.backupId,
      timeline: request.timeline,
      action: request.then,
      tablespaceMap: request.tablespaceMap,
      settings: { fsync: 'off' },
    })
    const report = await applyRestore({ cluster, plan, workers: 1 })
    return { directory: temp.join('data'), plan, report, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() }
  } catch (error) {
    await temp[Symbol.asyncDispose]()
    throw error
  }
}

/** Ends a server that is no child of ours. */
export async function stopServer(pid: number): Promise<void> {
  signal(pid, 'SIGINT')
  for (let waitedMs = 0; signal(pid, 0); waitedMs += 20) {
    if (waitedMs === 10_000) signal(pid, 'SIGQUIT')
    if (waitedMs > 20_000) throw new Error(`the server ${pid} does not end`)
    await sleep(20)
  }
}

function signal(pid: number, what: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, what)
  } catch {
    return false
  }
}
