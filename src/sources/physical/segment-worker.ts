/** The worker thread that seals finished segments, one after the other, off the path of the acknowledgements. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toRetakeError } from '../../base/errors.ts'
import { importSealing, type Sealing } from '../../repository/sealing.ts'
import { openStore } from '../../storage/open.ts'
import type { FromSegmentWorker, SegmentWorkerData, ToSegmentWorker } from './segment-messages.ts'
import { SegmentSealing } from './segment-sealing.ts'

const port = parentPort
assert(port !== null, 'this module runs as a worker')
const data = workerData as SegmentWorkerData
const reply = (message: FromSegmentWorker) => port.postMessage(message)

const store = await openStore(data.store)
let keys: Sealing | undefined
const segments = new SegmentSealing({
  facts: data.facts,
  store,
  get sealing() {
    assert(keys, 'the keys came with the first job')
    return keys
  },
})

let queue = Promise.resolve()

port.on('message', (message: ToSegmentWorker) => {
  queue = queue.then(() => handle(message))
})

async function handle(message: ToSegmentWorker): Promise<void> {
  if (message.type === 'close') {
    await store[Symbol.asyncDispose]()
    port?.close()
    return
  }
  try {
    keys = importSealing(message.sealing)
    const damage = await segments.seal(message.job)
    reply({ type: 'sealed', damage: damage?.toJSON() })
  } catch (error) {
    reply({ type: 'failed', error: toRetakeError(error).toJSON() })
  }
}
