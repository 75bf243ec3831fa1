/** The thread that keeps the journal: what it does is of no hurry, so everything else goes before it. */
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toRetakeError } from '../../base/errors.ts'
import { updateJournal } from '../../journal/update.ts'
import { importSealing } from '../../repository/sealing.ts'
import { openStore } from '../../storage/open.ts'
import type { FromJournalWorker, JournalWorkerData, ToJournalWorker } from './journal-messages.ts'

const port = parentPort
assert(port !== null, 'this module runs as a worker')
const data = workerData as JournalWorkerData
const reply = (message: FromJournalWorker) => port.postMessage(message)

// Of this thread alone: on Linux each has a priority of its own (https://man7.org/linux/man-pages/man2/setpriority.2.html).
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)

const store = await openStore(data.store)
const stop = new AbortController()
let queue = Promise.resolve()

port.on('message', (message: ToJournalWorker) => {
  if (message.type === 'close') stop.abort()
  queue = queue.then(() => handle(message))
})

async function handle(message: ToJournalWorker): Promise<void> {
  if (message.type === 'close') {
    await store[Symbol.asyncDispose]()
    port?.close()
    return
  }
  try {
    const cluster = { facts: data.facts, store, sealing: importSealing(message.sealing) }
    reply({ type: 'updated', updated: await updateJournal(cluster, { signal: stop.signal }) })
  } catch (error) {
    reply({ type: 'failed', error: toRetakeError(error).toJSON() })
  }
}
