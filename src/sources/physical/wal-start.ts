/** Where a session of the receiver begins: the slot made ready, the decision taken, and what it means recorded before any byte. */
import type { RetryAdvice } from '../../base/error-codes.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { Logger } from '../../base/progress.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { ReplicationConnection, SlotPosition, SystemIdentity } from '../../postgres/replication/connection.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { ArchiveEnd, ArchivePlace } from './archive-end.ts'
import { decideResume, firstLsnOf, type ResumeDecision, type TimelineStep } from './resume.ts'

export interface WalStartOptions {
  readonly cluster: ClusterRepository
  readonly archive: ArchiveEnd
  readonly slot: string
  readonly identity: SystemIdentity
  /** The server's timelines, oldest first. */
  readonly path: readonly TimelineStep[]
  /** The WAL that was due is gone from the server. */
  readonly afterGap: boolean
  readonly logger: Logger
  readonly now: () => Date
}

/**
 * @throws RetakeError `wal.diverged`, `postgres.slot`
 */
export async function chooseStart(connection: ReplicationConnection, options: WalStartOptions): Promise<ArchivePlace> {
  const { archive, path } = options
  const { walSegmentSizeBytes: segmentSizeBytes } = options.cluster.facts
  const position = await makeSlotReady(connection, options)
  const decision = decideResume({ path, held: archive.timelines, segmentSizeBytes })
  if (decision.kind === 'diverged') {
    // A standby may still be on its way to the timeline that is held.
    const standby = (await connection.show('in_hot_standby')) === 'on'
    throw divergedError(decision, { timeline: options.identity.timeline, retry: standby ? 'later' : 'never' })
  }
  if (decision.kind === 'first-contact') return recordFirstContact(position, options)
  const { timeline, startLsn } = decision
  if (options.afterGap) return recordGap(connection, { ...options, position, due: decision })
  if (decision.kind === 'next-timeline') {
    await archive.recordRange({
      timeline,
      beginLsn: formatLsn(startLsn),
      startLsn,
      reason: 'new-timeline',
      at: options.now().toISOString(),
      explanation: `The server went from timeline ${decision.leftTimeline} to ${timeline}.`,
    })
    options.logger.info(`The server went from timeline ${decision.leftTimeline} to timeline ${timeline}.`, { timeline })
  }
  return { timeline, startLsn }
}

/** The slot exists and holds WAL: made when it is missing, made anew when the server has invalidated it. */
async function makeSlotReady(connection: ReplicationConnection, options: WalStartOptions): Promise<SlotPosition> {
  const { slot, logger } = options
  try {
    const position = await connection.readSlot(slot)
    if (position) return position
    logger.info(`Creating the replication slot "${slot}".`, { slot })
  } catch (error) {
    if (!isRetakeError(error, 'postgres.slot') || error.details.lost !== true) throw error
    logger.error(
      `The server has invalidated the replication slot "${slot}": it had to keep more WAL than max_slot_wal_keep_size allows. The slot is made anew.`,
      { slot },
    )
    await connection.dropSlot(slot)
  }
  await connection.createPhysicalSlot(slot)
  const position = await connection.readSlot(slot)
  if (position) return position
  throw new RetakeError('postgres.slot', `The replication slot "${slot}" disappeared as soon as it was made.`, {
    hint: 'Check whether another program drops slots on this server.',
  })
}

async function recordFirstContact(position: SlotPosition, options: WalStartOptions): Promise<ArchivePlace> {
  const place = placeOf(position, options)
  await options.archive.recordRange({
    timeline: place.timeline,
    beginLsn: formatLsn(place.startLsn),
    startLsn: place.startLsn,
    reason: 'first-contact',
    at: options.now().toISOString(),
    explanation: 'Archiving began here.',
  })
  return place
}

interface GapOptions extends WalStartOptions {
  readonly position: SlotPosition
  /** What the server does not have any more. */
  readonly due: Exclude<ResumeDecision, { kind: 'first-contact' | 'diverged' }>
}

/** Goes on where the slot holds WAL, and writes down what is missing in between (R6). */
async function recordGap(connection: ReplicationConnection, options: GapOptions): Promise<ArchivePlace> {
  const { due, archive, logger } = options
  let place = placeOf(options.position, options)
  if (!isAfter(place, due)) {
    // The slot claims WAL that the server has refused: only a fresh one says where WAL really begins.
    await connection.dropSlot(options.slot)
    place = placeOf(await makeSlotReady(connection, options), options)
    if (!isAfter(place, due)) throw missingWalError(due)
  }
  const heldUntilLsn = due.kind === 'continue' ? due.startLsn : heldEnd(archive, due.leftTimeline, due.startLsn)
  const explanation =
    `The server had removed the WAL between ${formatLsn(heldUntilLsn)} (timeline ${due.timeline}) and ${formatLsn(place.startLsn)} ` +
    `(timeline ${place.timeline}) before it could be received: the slot was lost, or did not exist.`
  await archive.recordRange({
    timeline: place.timeline,
    beginLsn: formatLsn(place.startLsn),
    startLsn: place.startLsn,
    reason: 'gap',
    heldUntilLsn: formatLsn(heldUntilLsn),
    at: options.now().toISOString(),
    explanation,
  })
  logger.error(
    `WAL IS MISSING: ${explanation} Moments in this gap cannot be restored, and backups from before it reach only up to it. Take a new backup now: retake backup.`,
    {
      heldUntilLsn: formatLsn(heldUntilLsn),
      beginLsn: formatLsn(place.startLsn),
      timeline: place.timeline,
    },
  )
  return place
}

function placeOf(position: SlotPosition, options: WalStartOptions): ArchivePlace {
  const { walSegmentSizeBytes } = options.cluster.facts
  return { timeline: position.restartTimeline, startLsn: firstLsnOf(position.restartLsn, walSegmentSizeBytes) }
}

function isAfter(place: ArchivePlace, due: ArchivePlace): boolean {
  return place.timeline > due.timeline || (place.timeline === due.timeline && place.startLsn > due.startLsn)
}

function heldEnd(archive: ArchiveEnd, timeline: number, fallback: Lsn): Lsn {
  return archive.timelines.find((held) => held.timeline === timeline)?.endLsn ?? fallback
}

function missingWalError(due: ArchivePlace): RetakeError {
  return new RetakeError(
    'wal.gap',
    `The server does not have the WAL from ${formatLsn(due.startLsn)} on timeline ${due.timeline}, and a new slot does not begin later either.`,
    {
      hint: 'Check pg_wal on the server: a file in the middle of its log is missing.',
      details: { timeline: due.timeline, startLsn: formatLsn(due.startLsn) },
    },
  )
}

function divergedError(
  decision: { readonly explanation: string },
  options: { readonly timeline: number; readonly retry: RetryAdvice },
): RetakeError {
  const { timeline, retry } = options
  return new RetakeError(
    'wal.diverged',
    `The receiver cannot go on: ${decision.explanation}. Nothing of it was stored.`,
    {
      retry,
      hint: 'Connect to the server that is the primary now. A server with a life of its own gets a name of its own: retake init --cluster NAME.',
      details: { timeline },
    },
  )
}
