/** Receives the WAL of one cluster for as long as the server looks after it. */
import type { RetakeError } from '../base/errors.ts'
import type { Logger } from '../base/progress.ts'
import { receiveWal } from '../engine/receive-wal.ts'
import { forever } from './forever.ts'
import type { ManagedCluster } from './managed-cluster.ts'

const RETRY_MS = 1_000
const MOST_MS = 30_000

export async function keepReceiving(
  cluster: ManagedCluster,
  { signal, logger }: { readonly signal: AbortSignal; readonly logger: Logger },
): Promise<void> {
  let told: string | undefined
  const tell = ({ code, message, hint }: RetakeError) => {
    // A receiver of somebody else is as good as ours; ours waits until it is gone.
    const level = code === 'repo.locked' ? 'debug' : 'warn'
    if (message !== told) logger[level](`WAL of ${cluster.name} is not received here: ${message}`, { code, hint })
    told = message
  }
  await forever(
    async () => {
      const retake = await cluster.open()
      await receiveWal({ ...retake, logger }, { signal }).result
      told = undefined
    },
    { signal, everyMs: RETRY_MS, retryMs: RETRY_MS, mostMs: MOST_MS, onError: tell },
  )
}
