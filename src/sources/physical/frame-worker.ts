/** A worker thread of a backup: takes frames from shared memory in order and stores them in packs of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toRetakeError } from '../../base/errors.ts'
import { openPageKernel } from '../../postgres/page.ts'
import { importSealing } from '../../repository/sealing.ts'
import { openStore } from '../../storage/open.ts'
import { readPieces } from './direct/read-pieces.ts'
import type { FrameWorkerData, FromFrameWorker, ToFrameWorker } from './frame-messages.ts'
import { FrameProcessor } from './frame-processor.ts'
import type { KnownStretch } from './known-content.ts'
import { slotView } from './slab.ts'

const port = parentPort
assert(port !== null, 'this module runs as a worker')
const data = workerData as FrameWorkerData
const reply = (message: FromFrameWorker) => port.postMessage(message)
const questions = new Map<number, PromiseWithResolvers<readonly (KnownStretch | undefined)[]>>()
let asked = 0

const store = await openStore(data.store)
const processor = new FrameProcessor(
  { ...data, store, sealing: importSealing(data.sealing), pageKernel: openPageKernel(data.memory) },
  {
    pack: (pack) => reply({ type: 'pack', pack }),
    bundled: (placements) => reply({ type: 'bundled', placements }),
    lookUp(contentIds) {
      const lookup = asked++
      const question = Promise.withResolvers<readonly (KnownStretch | undefined)[]>()
      questions.set(lookup, question)
      reply({ type: 'lookup', lookup, contentIds })
      return question.promise
    },
  },
)
let failed = false
/** Work that has begun; its order is that of the messages. */
const underWay = new Set<Promise<void>>()

port.on('message', (message: ToFrameWorker) => {
  if (message.type === 'known') {
    questions.get(message.lookup)?.resolve(message.stretches)
    questions.delete(message.lookup)
    return
  }
  if (message.type === 'close') return void close()
  const work = handle(message).finally(() => underWay.delete(work))
  underWay.add(work)
})

async function handle(message: Exclude<ToFrameWorker, { type: 'known' | 'close' }>): Promise<void> {
  // After a failure nothing more is stored: the backup is being given up.
  if (failed) return
  try {
    if (message.type === 'finish') {
      await processor.finish()
      reply({ type: 'finished', storedBytes: processor.storedBytes })
    } else {
      const bytes = slotView(data.memory, message.slot).subarray(0, message.lengthBytes)
      readPieces(bytes, message.pieces)
      reply({ type: 'stored', job: message.job, outcome: await processor.process(bytes, message.pieces) })
    }
  } catch (error) {
    if (failed) return
    failed = true
    reply({ type: 'failed', error: toRetakeError(error).toJSON() })
  }
}

async function close(): Promise<void> {
  try {
    failed = true
    // Nobody answers any more.
    for (const question of questions.values()) question.reject(new Error('the backup has ended'))
    await Promise.all(underWay)
    await processor[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  } finally {
    reply({ type: 'closed' })
    port?.close()
  }
}
