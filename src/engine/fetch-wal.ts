/**
 * One WAL file by name, as a `restore_command` outside of Retake's own restores wants it. Rule R7: `absent` is said only when it is
 * certain, because PostgreSQL then takes the archive for ended; a hole is an error.
 */
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isRetakeError, RetakeError, systemErrorCode } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { TimelineCoverage } from '../catalog/coverage.ts'
import { parseSegmentName, type SegmentPosition, segmentStart } from '../postgres/lsn.ts'
import { openPaddedSegment } from '../recovery/archive-source.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readHistory } from '../repository/wal-records.ts'
import type { Retake } from './open.ts'

export interface FetchedWal {
  readonly kind: 'delivered' | 'absent'
  readonly name: string
  readonly file: string
}

/**
 * Writes a segment (zero-padded when only its beginning is held) or a history file to `file`, completely or not at all.
 *
 * ```ts
 * const { kind } = await fetchWal(retake, { name: '000000010000000000000003', file: '/tmp/segment' })
 * ```
 * @throws RetakeError `wal.gap` when the segment is missing and recovery must not end there; `repo.damaged`, `storage.*`
 */
export async function fetchWal(
  retake: Retake,
  request: { readonly name: string; readonly file: string },
): Promise<FetchedWal> {
  const { name } = request
  const file = resolve(retake.directory, request.file)
  const cluster = await retake.cluster()
  const content = await openNamed(cluster, name)
  if (!content) return { kind: 'absent', name, file }
  await writeWhole(file, content)
  return { kind: 'delivered', name, file }
}

async function openNamed(
  cluster: ClusterRepository,
  name: string,
): Promise<AsyncIterable<Uint8Array> | Uint8Array[] | undefined> {
  const history = /^([0-9A-F]{8})\.history$/.exec(name)?.[1]
  if (history !== undefined) {
    const content = await readHistory(cluster, Number.parseInt(history, 16))
    return content && [content]
  }
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster.facts
  const position = parseSegmentName(name, segmentSizeBytes)
  // PostgreSQL also asks for names that no archive of ours holds, such as a .backup file.
  if (!position) return undefined
  const content = await openPaddedSegment(cluster, position)
  if (content) return content
  const { coverage, damage } = await readHeldArchive(cluster)
  // Where it is not known how far the archive goes, nothing is certainly absent.
  const doubt = damage.find(
    ({ what, timeline }) =>
      what === 'position' || (timeline === position.timeline && (what === 'segment' || what === 'tail')),
  )
  if (doubt) throw doubt.error
  if (isCertainlyAbsent(position, { coverage, segmentSizeBytes })) return undefined
  throw new RetakeError(
    'wal.gap',
    `The WAL segment ${name} was held once, or falls into a gap: recovery must not end here.`,
    {
      hint: 'Run `retake verify` and `retake window` to see what is missing and what it costs.',
      details: { name },
    },
  )
}

/** Beside the destination first, so that PostgreSQL never sees half a file. */
async function writeWhole(file: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  const draft = `${file}.retake-${randomId(4)}`
  try {
    {
      await using handle = await open(draft, 'wx', 0o600)
      for await (const piece of content) await handle.writeFile(piece)
    }
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    if (isRetakeError(error)) throw error
    throw new RetakeError(
      'storage.failed',
      `${file} could not be written (${systemErrorCode(error) ?? 'unknown error'}).`,
      {
        hint: 'Name a file in a directory that this user may write.',
        cause: error,
      },
    )
  }
}

/**
 * Whether a segment that is not held lies beyond everything that ever was. Later WAL of the same timeline makes it a hole, unless
 * the timeline only begins later: then PostgreSQL goes on to ask for the segment of an ancestor.
 */
export function isCertainlyAbsent(
  { timeline, segment }: SegmentPosition,
  options: { readonly coverage: readonly TimelineCoverage[]; readonly segmentSizeBytes: number },
): boolean {
  const start = segmentStart(segment, options.segmentSizeBytes)
  const end = segmentStart(segment + 1n, options.segmentSizeBytes)
  const own = options.coverage.find((candidate) => candidate.timeline === timeline)
  if (!own) return true
  if (own.gaps.some(({ beginLsn, endLsn }) => beginLsn < end && start < endLsn)) return false
  if (!own.ranges.some(({ endLsn }) => endLsn > start)) return true
  const first = own.ranges[0]?.beginLsn
  if (first === undefined || first < end) return false
  return options.coverage.some(
    (other) =>
      other.timeline < timeline && other.ranges.some(({ beginLsn, endLsn }) => beginLsn < end && start < endLsn),
  )
}
