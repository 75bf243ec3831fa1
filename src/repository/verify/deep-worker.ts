/** A worker thread that runs deep checks on a storage it opens itself. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toRetakeError } from '../../base/errors.ts'
import { openStore } from '../../storage/open.ts'
import { importSealing, type SealingData } from '../sealing.ts'
import { checkDeep, type DeepTask } from './deep-check.ts'

export interface DeepWorkerData {
  readonly url: string
}

export interface ToDeepWorker {
  readonly task: DeepTask
  readonly sealing: SealingData
}

assert(parentPort, 'this module runs in a worker thread')
const port = parentPort
const data = workerData as DeepWorkerData
const store = await openStore(data.url)

port.on('message', ({ task, sealing }: ToDeepWorker) => {
  checkDeep(store, importSealing(sealing), task).then(
    (result) => port.postMessage({ result }),
    (error: unknown) => port.postMessage({ error: toRetakeError(error).toJSON() }),
  )
})
