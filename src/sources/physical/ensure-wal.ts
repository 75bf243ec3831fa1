/** Sees to it that the WAL which a backup needs is in the archive, whoever receives it. */
import { sleep, throwIfAborted } from '../../base/abort.ts'
import { systemClock } from '../../base/clock.ts'
import { assert, isRetakeError, RetakeError } from '../../base/errors.ts'
import { formatLsn, type Lsn, parseLsn } from '../../postgres/lsn.ts'
import { readLeaseHolder } from '../../repository/lease.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { type ReceivedWal, type ReceiveWalOptions, receiveWal, walNotArchivedError } from './receiver.ts'
import { ServerLine } from './server-line.ts'

export interface EnsureWalOptions extends Omit<ReceiveWalOptions, 'until' | 'synchronous'> {
  /** Such as the stop LSN of a backup. */
  readonly untilLsn: Lsn
  /** How long to wait for another receiver that does not come on. Default 120,000. */
  readonly patienceMs?: number | undefined
}

export interface EnsuredWal extends ReceivedWal {
  /** Whether a receiver that was running already did it. */
  readonly by: 'this-run' | 'other-receiver'
  /** The server is a standby, whose backups may begin before the first WAL that is held. */
  readonly standby: boolean
}

interface ServerRole {
  readonly standby: boolean
  readonly mayReceive: boolean
}

/** The position follows the end of a backup at once where a receiver keeps up; where it does not, waiting is cheap. */
const FIRST_LOOK_MS = 50
const LONGEST_LOOK_MS = 500

/**
 * `mayReceive`: whether this server may be asked for the WAL. Not a standby without our slot: making one there would hold WAL on it that nobody
 * fetches, and what a standby has removed is no gap, because the primary's slot holds it.
 */
async function readRole(options: EnsureWalOptions): Promise<ServerRole> {
  await using line = new ServerLine(options.target, { applicationName: 'retake backup', signal: options.signal })
  const [role] = await line.query<ServerRole>(
    `select pg_is_in_recovery() as standby,
            not pg_is_in_recovery() or exists (select from pg_replication_slots where slot_name = $1) as "mayReceive"`,
    [options.slot],
  )
  assert(role, 'a query without a table returns a row')
  return role
}

/**
 * Waits until everything before `untilLsn` is durable in the archive. Receives it itself, unless a receiver is running:
 * then it watches that one. An idle server needs no switch of its segment, because the open segment is archived as well.
 * From a standby that has no slot of ours nothing is received: the primary's receiver does it.
 * @throws RetakeError `wal.gap` when another receiver does not come on; and as {@link receiveWal}
 */
export async function ensureWal(options: EnsureWalOptions): Promise<EnsuredWal> {
  const { cluster, untilLsn, clock = systemClock, patienceMs = 120_000 } = options
  const { standby, mayReceive } = await readRole(options)
  let waitedSinceMs = clock.monotonicMs()
  let last: string | undefined
  let lookMs = FIRST_LOOK_MS
  for (;;) {
    throwIfAborted(options.signal)
    const received = mayReceive ? await receive(options) : undefined
    if (received) return { ...received, by: 'this-run', standby }
    const position = await readPosition(cluster)
    if (position && parseLsn(position.flushLsn) >= untilLsn) {
      return { timeline: position.timeline, flushLsn: parseLsn(position.flushLsn), by: 'other-receiver', standby }
    }
    if (!mayReceive && !(await readLeaseHolder(cluster, { role: 'wal', clock }))) throw noReceiverError(options)
    if (position?.flushLsn !== last) waitedSinceMs = clock.monotonicMs()
    last = position?.flushLsn
    if (clock.monotonicMs() - waitedSinceMs >= patienceMs) throw walNotArchivedError(untilLsn)
    await sleep(lookMs, options.signal)
    lookMs = Math.min(lookMs * 1.5, LONGEST_LOOK_MS)
  }
}

/** Undefined when another receiver is running. */
async function receive(options: EnsureWalOptions): Promise<ReceivedWal | undefined> {
  try {
    const received = await receiveWal({ ...options, until: { kind: 'lsn', lsn: options.untilLsn } })
    throwIfAborted(options.signal)
    return received
  } catch (error) {
    if (isRetakeError(error, 'repo.locked')) return undefined
    throw error
  }
}

function noReceiverError({ untilLsn }: EnsureWalOptions): RetakeError {
  const lsn = formatLsn(untilLsn)
  return new RetakeError(
    'wal.gap',
    `The backup is stored, but the WAL up to ${lsn} that it needs is not held, and no receiver is running. It was taken from a standby, which has no slot of this cluster, so the WAL has to come from the primary.`,
    {
      retry: 'later',
      hint: `Run against the primary: retake wal receive --until-lsn ${lsn}`,
      details: { untilLsn: lsn },
    },
  )
}
