/** A thread of a restore: takes batches, answers each with what it has restored. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/errors.ts'
import { serveTasks } from '../base/thread-pool.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { SealingData } from '../repository/sealing.ts'
import { openStore } from '../storage/open.ts'
import type { StoreAddress } from '../storage/store-address.ts'
import { BatchRestorer } from './batch-restorer.ts'
import type { RestoreBatch, RestoredBytes } from './restore-batches.ts'
import { writeError } from './write-error.ts'

export interface RestoreWorkerData {
  readonly store: StoreAddress
  readonly sealing: SealingData
  readonly account: ServerAccount | undefined
}

assert(parentPort, 'this module runs in a worker thread')
const data = workerData as RestoreWorkerData
const store = await openStore(data.store)
const restorer = new BatchRestorer(store, data)

serveTasks(parentPort, {
  async run(batch: RestoreBatch): Promise<RestoredBytes> {
    try {
      await restorer.restore(batch)
    } catch (error) {
      throw writeError(error)
    }
    return { plainBytes: batch.plainBytes, storedBytes: batch.storedBytes }
  },
  async close() {
    restorer.close()
    await store[Symbol.asyncDispose]()
  },
})
