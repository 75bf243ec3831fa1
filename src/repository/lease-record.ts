import * as z from 'zod'
import { hasCertainlyEnded, type ProcessIdentity } from '../base/process-identity.ts'

/** Who holds a lease, and until when. */
export interface LeaseRecord {
  /** Random; tells this holding from any other of the same place. */
  readonly token: string
  /** For people: what the holder is, such as `retake backup`. */
  readonly holder: string
  readonly process: ProcessIdentity
  /** ISO 8601 UTC, the holder's clock. */
  readonly acquiredAt: string
  readonly renewedAt: string
  readonly ttlMs: number
  /** The key epoch of the cluster when it was taken: a writer may seal with this one until it ends. */
  readonly epoch?: number | undefined
}

export const leaseRecordSchema = z.object({
  token: z.string(),
  holder: z.string(),
  process: z.object({ host: z.string(), pid: z.int(), realm: z.string(), boot: z.string(), started: z.string() }),
  acquiredAt: z.iso.datetime(),
  renewedAt: z.iso.datetime(),
  ttlMs: z.int().positive(),
  epoch: z.int().positive().optional(),
})

export type LeaseState =
  | { readonly state: 'held'; readonly freeInMs: number }
  | { readonly state: 'free'; readonly because: 'ended' | 'expired' }

/**
 * Whether a lease still counts. A holder whose process has certainly ended holds nothing; any other holds until its time
 * is over. A clock that runs behind the holder's can only make it count longer.
 */
export function evaluateLease(
  record: LeaseRecord,
  context: { readonly now: Date; readonly observer: ProcessIdentity },
): LeaseState {
  if (hasCertainlyEnded(record.process, context.observer)) return { state: 'free', because: 'ended' }
  const freeInMs = Date.parse(record.renewedAt) + record.ttlMs - context.now.getTime()
  return freeInMs > 0 ? { state: 'held', freeInMs } : { state: 'free', because: 'expired' }
}
