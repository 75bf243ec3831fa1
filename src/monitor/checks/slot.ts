/** Whether the server keeps WAL for us, and for how long it can if we stop receiving. */
import { defaultSlotName } from '../../engine/config-options.ts'
import { formatGiB } from '../../engine/doctor/check.ts'
import { judgeSlot } from '../../engine/doctor/replication-checks.ts'
import { freeSpace } from '../../engine/doctor/space.ts'
import { readReceiver } from '../../engine/receiver-state.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { querySlotStatus, type SlotStatus } from '../../sources/physical/slot-status.ts'
import type { Measurements } from './measurements.ts'
import type { Observation } from './observation.ts'
import { failed, type Outcome } from './result.ts'
import type { HealthCheck } from './run-checks.ts'
import { outcomeOf } from './server.ts'
import type { HealthSources, ServerMoment } from './sources.ts'

/** With less time than this until WAL is lost or the disk is full, somebody must act now; with less than that, today. */
const DANGER_HOURS = 4
const WARNING_HOURS = 24
/** A receiver that is connected keeps up when it is behind by no more than this, or than so much of an hour's WAL. */
const KEPT_UP_BYTES = 256 * 1024 ** 2
const KEPT_UP_HOURS = 0.25

export const slot: HealthCheck<'slot'> = {
  name: 'slot',
  title: 'Server keeps WAL for us',
  patience: 3,
  run: async (sources) => {
    // The server tells about its slot without the repository, which only knows the slot's name for certain.
    const cluster = await sources
      .retake()
      .then(({ retake }) => retake.cluster())
      .catch(() => undefined)
    const { clock, clusterName, config } = sources.settings
    const name = cluster?.facts.slot ?? config.slot ?? defaultSlotName(clusterName)
    const { sql } = await sources.link()
    const facts = await sources.serverFacts()
    const moment = await sources.moment()
    return judgeSlotGrowth({
      name,
      status: await querySlotStatus(sql, name),
      receiver: cluster && (await readReceiver(cluster, clock)) !== undefined,
      walDirectoryBytes: facts.walDirectoryBytes,
      serverFreeBytes:
        facts.files.kind === 'found' ? (await freeSpace(facts.files.cluster.dataDirectory)).freeBytes : undefined,
      walBytesPerHour: await walRate(sources, moment),
    })
  },
}

export interface SlotFacts {
  readonly name: string
  readonly status: SlotStatus
  /** Undefined: not known. */
  readonly receiver: boolean | undefined
  readonly walDirectoryBytes: number | undefined
  readonly serverFreeBytes: number | undefined
  readonly walBytesPerHour: number | undefined
}

export function judgeSlotGrowth(facts: SlotFacts): Outcome<Measurements['slot']> {
  const { status, walBytesPerHour, serverFreeBytes, walDirectoryBytes } = facts
  // Whichever comes first: the slot's own limit, or the end of the disk.
  const roomBytes = [status.safeWalSizeBytes, serverFreeBytes].filter((bytes) => bytes !== undefined)
  const hoursLeft =
    status.exists && walBytesPerHour && roomBytes.length > 0
      ? Math.max(0, Math.min(...roomBytes)) / walBytesPerHour
      : undefined
  const keepsUp = status.active && keepsUpWith(status.lagBytes, walBytesPerHour)
  const measured: Measurements['slot'] = {
    slot: facts.name,
    exists: status.exists,
    active: status.active,
    keepsUp,
    ...(facts.receiver === undefined ? {} : { receiver: facts.receiver }),
    ...(status.walStatus === undefined ? {} : { walStatus: status.walStatus }),
    ...(status.lagBytes === undefined ? {} : { heldBytes: status.lagBytes }),
    ...(status.safeWalSizeBytes === undefined ? {} : { safeBytes: status.safeWalSizeBytes }),
    ...(walDirectoryBytes === undefined ? {} : { walDirectoryBytes }),
    ...(serverFreeBytes === undefined ? {} : { serverFreeBytes }),
    ...(walBytesPerHour === undefined ? {} : { walBytesPerHour }),
    ...(hoursLeft === undefined ? {} : { hoursLeft }),
  }
  const verdict = outcomeOf(judgeSlot(status, facts.name), measured)
  if ((verdict.state === 'failed' && verdict.severity === 'danger') || keepsUp) return verdict
  if (hoursLeft !== undefined && hoursLeft < WARNING_HOURS) {
    const rate = formatGiB(walBytesPerHour ?? 0)
    const finding = `${verdict.finding} At ${rate} an hour it is lost, or the disk is full, in ${hoursLeft.toFixed(1)} hours.`
    return failed(finding, {
      severity: hoursLeft < DANGER_HOURS ? 'danger' : 'warning',
      fix: status.active
        ? 'retake status   # the receiver is connected and far behind: look at its log and at the storage it writes to'
        : 'retake wal receive   # now, and as a service',
      measured,
    })
  }
  return verdict
}

/** Connected is not enough: with a storage that does not take anything the server's disk fills all the same. */
function keepsUpWith(lagBytes: number | undefined, walBytesPerHour: number | undefined): boolean {
  return lagBytes !== undefined && lagBytes <= Math.max(KEPT_UP_BYTES, (walBytesPerHour ?? 0) * KEPT_UP_HOURS)
}

/** Shorter stretches say nothing about an hour. */
const SHORTEST_RATE_MS = 60_000

/** How fast the server writes WAL: since the earlier observation, else since the last backup. */
async function walRate(sources: HealthSources, moment: ServerMoment): Promise<number | undefined> {
  if (moment.timeline === undefined) return undefined
  const seen = rateSince(moment, earlierPoint(sources.earlier))
  if (seen !== undefined) return seen
  const holdings = await sources.holdings().catch(() => undefined)
  const last = holdings?.backups.at(-1)
  return rateSince(moment, last && { timeline: last.stopTimeline, lsn: last.stopLsn, at: last.stoppedAt })
}

interface LogPoint {
  readonly timeline: number
  readonly lsn: string
  readonly at: string
}

function earlierPoint(earlier: Observation | undefined): LogPoint | undefined {
  if (earlier?.timeline === undefined) return undefined
  return { timeline: earlier.timeline, lsn: earlier.flushLsn, at: earlier.at }
}

export function rateSince(
  moment: Pick<ServerMoment, 'timeline' | 'flushLsn' | 'now'>,
  since: LogPoint | undefined,
): number | undefined {
  if (since?.timeline !== moment.timeline || since === undefined) return undefined
  const tookMs = Date.parse(moment.now) - Date.parse(since.at)
  const bytes = Number(parseLsn(moment.flushLsn) - parseLsn(since.lsn))
  return tookMs < SHORTEST_RATE_MS || bytes < 0 ? undefined : (bytes * 3_600_000) / tookMs
}
