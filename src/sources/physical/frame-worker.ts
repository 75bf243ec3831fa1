/** A worker thread of a backup: takes frames from shared memory in order and stores them in packs of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toRetakeError } from '../../base/errors.ts'
import { importSealing } from '../../repository/sealing.ts'
import { openStore } from '../../storage/open.ts'
import type { FrameWorkerData, FromFrameWorker, ToFrameWorker } from './frame-messages.ts'
import { FrameProcessor } from './frame-processor.ts'
import { slotView } from './slab.ts'

const port = parentPort
assert(port !== null, 'this module runs as a worker')
const data = workerData as FrameWorkerData
const reply = (message: FromFrameWorker) => port.postMessage(message)

const store = await openStore(data.storeUrl)
const processor = new FrameProcessor({ ...data, store, sealing: importSealing(data.sealing) }, (pack) =>
  reply({ type: 'pack', pack }),
)

let failed = false
let queue = Promise.resolve()

port.on('message', (message: ToFrameWorker) => {
  queue = queue.then(() => handle(message))
})

async function handle(message: ToFrameWorker): Promise<void> {
  if (message.type === 'close') return close()
  // After a failure nothing more is stored: the backup is being given up.
  if (failed) return
  try {
    if (message.type === 'finish') {
      await processor.finish()
      reply({ type: 'finished', storedBytes: processor.storedBytes })
    } else {
      const bytes = slotView(data.memory, message.slot).subarray(0, message.lengthBytes)
      reply({ type: 'stored', job: message.job, outcome: await processor.process(bytes, message.checked) })
    }
  } catch (error) {
    failed = true
    reply({ type: 'failed', error: toRetakeError(error).toJSON() })
  }
}

async function close(): Promise<void> {
  try {
    await processor[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  } finally {
    reply({ type: 'closed' })
    port?.close()
  }
}
