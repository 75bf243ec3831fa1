/** The journal follows the archive while WAL is received, in a thread of its own: nothing that is acknowledged waits for it. */
import { Worker } from 'node:worker_threads'
import type { Logger } from '../../base/progress.ts'
import { workerUrl } from '../../base/threads.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { SEGMENTS_OF_CHUNK } from '../../repository/journal-chunks.ts'
import { exportSealing } from '../../repository/sealing.ts'
import { addressOf } from '../../storage/store-address.ts'
import type { FromJournalWorker, JournalWorkerData, ToJournalWorker } from './journal-messages.ts'

export interface JournalKeeper extends AsyncDisposable {
  /** A segment was sealed; when it is the last one of a chunk, the journal is brought up to date. */
  sealed(segment: bigint): void
}

export function keepJournal(cluster: ClusterRepository, { logger }: { readonly logger: Logger }): JournalKeeper {
  let thread: Thread | undefined
  return {
    sealed(segment) {
      if ((segment + 1n) % SEGMENTS_OF_CHUNK !== 0n) return
      thread ??= startThread(cluster, logger)
      thread.update()
    },
    async [Symbol.asyncDispose]() {
      await thread?.close()
    },
  }
}

interface Thread {
  update(): void
  close(): Promise<void>
}

function startThread(cluster: ClusterRepository, logger: Logger): Thread {
  const workerData: JournalWorkerData = { store: addressOf(cluster.store), facts: cluster.facts }
  const worker = new Worker(workerUrl(import.meta.url, './journal-worker'), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 16 },
  })
  const send = (message: ToJournalWorker) => worker.postMessage(message)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  let isRunning = false
  let isWanted = false
  let isEnded = false
  // What cannot be told now is told by the next update, or read from the WAL.
  const warn = (message: string) => logger.warn(`The journal was not brought up to date: ${message}`)
  worker.on('message', (message: FromJournalWorker) => {
    isRunning = false
    if (message.type === 'failed' && message.error.code !== 'aborted') warn(message.error.message)
    if (message.type === 'updated') for (const one of message.updated.unreadable) warn(one)
    if (isWanted) update()
  })
  worker.on('error', ({ message }) => {
    isEnded = true
    warn(message)
  })
  const update = () => {
    isWanted = isRunning
    if (isRunning || isEnded) return
    isRunning = true
    send({ type: 'update', sealing: exportSealing(cluster.sealing) })
  }
  return {
    update,
    async close() {
      isWanted = false
      if (!isEnded) send({ type: 'close' })
      await exited
      await worker.terminate()
    },
  }
}
