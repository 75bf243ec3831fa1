/** What drills have left that were running when a server was killed: their servers end and their directories go, as soon as one is back. */

import { toRetakeError } from '../base/errors.ts'
import type { Logger } from '../base/progress.ts'
import { sweepDrills } from '../drills/sweep.ts'
import type { ManagedCluster } from './managed-cluster.ts'

/** Never fails: what cannot be removed now is removed by the next drill. */
export async function tidyDrills(clusters: Iterable<ManagedCluster>, logger: Logger): Promise<void> {
  for (const cluster of clusters) {
    try {
      await sweepDrills(await cluster.open())
    } catch (error) {
      const { code, message } = toRetakeError(error)
      logger.warn(`What drills of ${cluster.name} may have left could not be looked for: ${message}`, { code })
    }
  }
}
