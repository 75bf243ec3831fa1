/** The archive as a source of files by name: for the feeder of a restore. */

import { RetakeError } from '../base/errors.ts'
import type { TimelinePath } from '../catalog/timeline-path.ts'
import { historyName, segmentName } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readHistory } from '../repository/wal-records.ts'
import type { FeederSource } from './feeder.ts'
import { damagedHistory, type HeldArchive, takenTimelines } from './held-archive.ts'
import { openSegment, padded } from './segment-content.ts'
import { answerRequest, expectedRequests, type SupplyFacts } from './segment-supply.ts'

/** Serves exactly the range of a plan; what is missing inside it is an error, never absent. */
export function archiveSource(
  cluster: ClusterRepository,
  options: {
    readonly held: HeldArchive
    readonly path: TimelinePath
    readonly firstSegment: bigint
    readonly lastSegment: bigint
  },
): FeederSource {
  const { held, path, firstSegment, lastSegment } = options
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster.facts
  const histories = new Set(takenTimelines(held))
  const facts: SupplyFacts = { path, segmentSizeBytes, firstSegment, lastSegment, holds: held.holds, histories }
  return {
    sequence: expectedRequests(facts),
    async open(name) {
      const answer = answerRequest(name, facts)
      if (answer.kind === 'absent') return undefined
      if (answer.kind === 'missing') throw missingFile(name)
      if (answer.kind === 'history') {
        // One that is not on the path says only that its number is taken; PostgreSQL does not read it.
        const isDamaged = damagedHistory(held, answer.timeline) !== undefined
        return isDamaged ? once(historyOfTakenTimeline(answer.timeline)) : await openHistory(cluster, answer.timeline)
      }
      return (await openPaddedSegment(cluster, answer)) ?? Promise.reject(missingFile(name))
    },
  }
}

/** A segment in its full size, or undefined when nothing of it is held. */
export async function openPaddedSegment(
  cluster: ClusterRepository,
  place: { readonly timeline: number; readonly segment: bigint },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const content = await openSegment(cluster, place)
  if (!content) return undefined
  const { walSegmentSizeBytes } = cluster.facts
  return exactly(padded(content, walSegmentSizeBytes), {
    bytes: walSegmentSizeBytes,
    name: segmentName(place, walSegmentSizeBytes),
  })
}

async function openHistory(cluster: ClusterRepository, timeline: number): Promise<AsyncIterable<Uint8Array>> {
  const content = await readHistory(cluster, timeline)
  if (!content) throw missingFile(historyName(timeline))
  return once(content)
}

function historyOfTakenTimeline(timeline: number): Uint8Array {
  return Buffer.from(
    `# The archived history of timeline ${timeline} is damaged; this file says that the timeline exists.\n`,
  )
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A segment of another size would be taken for damage by the server; it is one of ours. */
async function* exactly(
  content: AsyncIterable<Uint8Array>,
  expected: { readonly bytes: number; readonly name: string },
): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const piece of content) {
    length += piece.length
    yield piece
  }
  if (length !== expected.bytes) {
    throw new RetakeError(
      'repo.damaged',
      `The archive gives ${length} bytes for ${expected.name} instead of ${expected.bytes}.`,
      {
        hint: 'Run `retake verify` to see what is damaged.',
      },
    )
  }
}

/** A file inside the range of a plan that the archive does not have. */
export function missingFile(name: string): RetakeError {
  return new RetakeError('wal.gap', `${name} is needed by this recovery and is not in the archive.`, {
    hint: 'Run `retake verify` to see what is missing, and `retake window` for what can still be restored.',
    details: { name },
  })
}
