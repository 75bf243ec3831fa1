import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { RetakeError, reviveError, type SerializedError, toRetakeError } from '../../base/errors.ts'
import { workerUrl } from '../../base/threads.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import type { ClusterRepository } from '../cluster.ts'
import { exportSealing } from '../sealing.ts'
import { checkDeep, type DeepResult, type DeepTask } from './deep-check.ts'
import type { DeepWorkerData, ToDeepWorker } from './deep-worker.ts'

const MAX_WORKERS = 4

/** Runs deep checks of one cluster's objects, as many at a time as there are workers. */
export interface DeepPool extends AsyncDisposable {
  /** Takes the next task when a worker is free; results come in any order. Ends with the first error. */
  run<T extends DeepTask>(tasks: Iterable<T>, onResult: (task: T, result: DeepResult) => void): Promise<void>
}

/** A directory is opened by each thread for itself; any other storage is read from this thread. */
export function createDeepPool(
  cluster: ClusterRepository,
  options: { readonly workers?: number | undefined } = {},
): DeepPool {
  const { store } = cluster
  const count = options.workers ?? Math.min(MAX_WORKERS, availableParallelism())
  if (!(store instanceof DirectoryStore) || count === 0) {
    return poolOf([{ check: (task) => checkDeep(store, cluster.sealing, task), close: async () => {} }])
  }
  const data: DeepWorkerData = { url: store.url }
  return poolOf(Array.from({ length: count }, () => startThread(cluster, data)))
}

interface Checker {
  check(task: DeepTask): Promise<DeepResult>
  close(): Promise<void>
}

function poolOf(checkers: readonly Checker[]): DeepPool {
  return {
    async run(tasks, onResult) {
      const iterator = tasks[Symbol.iterator]()
      let failed = false
      const work = async (checker: Checker) => {
        for (let next = iterator.next(); !next.done && !failed; next = iterator.next()) {
          try {
            onResult(next.value, await checker.check(next.value))
          } catch (error) {
            failed = true
            throw error
          }
        }
      }
      const outcomes = await Promise.allSettled(checkers.map(work))
      const failure = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failure) throw failure.reason
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(checkers.map((checker) => checker.close()))
    },
  }
}

type Reply = { readonly result: DeepResult } | { readonly error: SerializedError }

function startThread(cluster: ClusterRepository, data: DeepWorkerData): Checker {
  const worker = new Worker(workerUrl(import.meta.url, './deep-worker'), { workerData: data })
  let pending: { resolve(result: DeepResult): void; reject(error: Error): void } | undefined
  let ended: Error | undefined
  const fail = (error: Error) => {
    ended ??= error
    pending?.reject(error)
  }
  worker.on('message', (reply: Reply) => {
    if ('result' in reply) pending?.resolve(reply.result)
    else pending?.reject(reviveError(reply.error))
  })
  worker.on('error', (error) => fail(toRetakeError(error)))
  worker.on('exit', () => fail(new RetakeError('internal', 'A thread that verifies ended by itself.')))
  return {
    check: (task) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended)
        pending = { resolve, reject }
        // The keys go with each task: they may be rotated while a large repository is verified.
        const message: ToDeepWorker = { task, sealing: exportSealing(cluster.sealing) }
        worker.postMessage(message)
      }),
    async close() {
      pending = undefined
      await worker.terminate()
    },
  }
}
