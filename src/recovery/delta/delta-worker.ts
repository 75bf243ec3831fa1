/** A thread of a delta restore. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../base/errors.ts'
import { serveTasks } from '../../base/thread-pool.ts'
import type { ServerAccount } from '../../postgres/server/account.ts'
import type { SealingData } from '../../repository/sealing.ts'
import { openStore } from '../../storage/open.ts'
import type { StoreAddress } from '../../storage/store-address.ts'
import { DeltaRestorer } from './delta-restorer.ts'
import type { DeltaTask } from './delta-tasks.ts'

export interface DeltaWorkerData {
  readonly store: StoreAddress
  readonly sealing: SealingData
  readonly account: ServerAccount | undefined
}

assert(parentPort, 'this module runs in a worker thread')
const data = workerData as DeltaWorkerData
const store = await openStore(data.store)
const restorer = new DeltaRestorer(store, data)

serveTasks(parentPort, {
  run: (task: DeltaTask) => restorer.restore(task),
  async close() {
    restorer.close()
    await store[Symbol.asyncDispose]()
  },
})
