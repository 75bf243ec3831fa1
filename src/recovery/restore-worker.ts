/** A thread of a restore: takes batches, answers each with `done` or `failed`. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, type SerializedError } from '../base/errors.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { SealingData } from '../repository/sealing.ts'
import { openStore } from '../storage/open.ts'
import type { StoreAddress } from '../storage/store-address.ts'
import { BatchRestorer } from './batch-restorer.ts'
import type { RestoreBatch } from './restore-batches.ts'
import { writeError } from './write-error.ts'

export interface RestoreWorkerData {
  readonly store: StoreAddress
  readonly sealing: SealingData
  readonly account: ServerAccount | undefined
}

export type RestoreReply =
  | { readonly type: 'done'; readonly plainBytes: number; readonly storedBytes: number }
  | { readonly type: 'failed'; readonly error: SerializedError }

assert(parentPort, 'this module runs in a worker thread')
const port = parentPort
const data = workerData as RestoreWorkerData
const store = await openStore(data.store)
const restorer = new BatchRestorer(store, data)

port.on('message', (batch: RestoreBatch | 'close') => {
  void (batch === 'close' ? close() : restore(batch))
})

async function restore(batch: RestoreBatch): Promise<void> {
  const { plainBytes, storedBytes } = batch
  try {
    await restorer.restore(batch)
    port.postMessage({ type: 'done', plainBytes, storedBytes } satisfies RestoreReply)
  } catch (error) {
    port.postMessage({ type: 'failed', error: writeError(error).toJSON() } satisfies RestoreReply)
  }
}

async function close(): Promise<void> {
  restorer.close()
  await store[Symbol.asyncDispose]()
  port.close()
}
