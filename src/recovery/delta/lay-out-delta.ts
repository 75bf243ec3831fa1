/**
 * Makes a data directory that is there equal to that of a backup, all but the control file, which was taken away before and alone
 * makes it startable. Interrupted at any point, the same may be done again: nothing is remembered but what is in the files.
 */
import { lstatSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { throwIfAborted } from '../../base/abort.ts'
import type { ProgressListener } from '../../base/progress.ts'
import { ThreadPool } from '../../base/thread-pool.ts'
import { workerUrl } from '../../base/threads.ts'
import { readEntries } from '../../repository/manifest-store.ts'
import { exportSealing } from '../../repository/sealing.ts'
import { addressOf } from '../../storage/store-address.ts'
import { type LaidOut, type LayOutOptions, makeTree } from '../lay-out.ts'
import { type DeltaDone, DeltaRestorer } from './delta-restorer.ts'
import { type DeltaTask, DeltaTasks } from './delta-tasks.ts'
import type { DeltaWorkerData } from './delta-worker.ts'
import { WantedTree } from './wanted-tree.ts'

export interface DeltaLayOutOptions extends Omit<LayOutOptions, 'pool'> {
  /** Threads that read, fetch and write; default one per processor, at most four. */
  readonly workers?: number | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface DeltaLaidOut extends LaidOut {
  /** What was read here and compared. */
  readonly comparedBytes: number
}

/** Reading and hashing keep a processor busy; more than four gain little. */
const MAX_THREADS = 4
/** So much is compared in the time that a thread needs to start. */
const BYTES_WORTH_A_THREAD = 128 * 1024 * 1024

export async function layOutDelta(options: DeltaLayOutOptions): Promise<DeltaLaidOut> {
  const { plan, onProgress } = options
  await removeExtras(options)
  const done = { comparedBytes: 0, writtenBytes: 0, fetchedBytes: 0 }
  const tasks = new DeltaTasks()
  await using pool = openPool(options, (result) => {
    done.comparedBytes += result.comparedBytes
    done.writtenBytes += result.writtenBytes
    done.fetchedBytes += result.fetchedBytes
    onProgress?.({ phase: 'files', done: done.comparedBytes, total: plan.files.bytes, unit: 'bytes' })
  })
  const tree = await makeTree(options, {
    addPack: (entry) => tasks.addPack(entry),
    async addFile(entry, shape) {
      const presentBytes = lstatSync(shape.file, { throwIfNoEntry: false })?.size ?? 0
      for (const task of tasks.addFile(entry, { shape, presentBytes })) await pool.submit(task)
    },
  })
  for (const task of tasks.flush()) await pool.submit(task)
  await pool.settle()
  return { ...tree, ...done }
}

/** First, so that a full filesystem has room for what comes. */
async function removeExtras({ cluster, plan, signal }: DeltaLayOutOptions): Promise<void> {
  const wanted = new WantedTree(plan.place)
  for await (const entry of readEntries(cluster, plan.backup.backupId)) wanted.add(entry)
  for await (const { file } of wanted.extras()) {
    throwIfAborted(signal)
    await rm(file, { recursive: true, force: true })
  }
}

interface Pool extends AsyncDisposable {
  submit(task: DeltaTask): Promise<void>
  settle(): Promise<void>
}

function openPool(options: DeltaLayOutOptions, onResult: (result: DeltaDone) => void): Pool {
  const { cluster, account, signal } = options
  const data: DeltaWorkerData = { store: addressOf(cluster.store), sealing: exportSealing(cluster.sealing), account }
  const threads = cluster.store.url.startsWith('memory:')
    ? 0
    : (options.workers ??
      Math.min(MAX_THREADS, availableParallelism(), Math.floor(options.plan.files.bytes / BYTES_WORTH_A_THREAD)))
  if (threads > 0) {
    const module = workerUrl(import.meta.url, './delta-worker')
    return new ThreadPool<DeltaTask, DeltaDone>({ module, data, threads, onResult, signal })
  }
  const restorer = new DeltaRestorer(cluster.store, data)
  return {
    async submit(task) {
      throwIfAborted(signal)
      onResult(await restorer.restore(task))
    },
    settle: async () => throwIfAborted(signal),
    [Symbol.asyncDispose]: async () => restorer.close(),
  }
}
