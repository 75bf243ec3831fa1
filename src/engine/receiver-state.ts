import type { Clock } from '../base/clock.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readLeaseHolder } from '../repository/lease.ts'

/** Who receives WAL now, as the lease says. */
export interface ReceiverState {
  /** `retake wal receive (process 123 on db1)` */
  readonly holder: string
  readonly host: string
  readonly pid: number
  /** ISO 8601 UTC, the receiver's clock. */
  readonly since: string
}

export async function readReceiver(cluster: ClusterRepository, clock: Clock): Promise<ReceiverState | undefined> {
  const record = await readLeaseHolder(cluster, { role: 'wal', clock })
  if (!record) return undefined
  const { host, pid } = record.process
  return { holder: `${record.holder} (process ${pid} on ${host})`, host, pid, since: record.acquiredAt }
}
