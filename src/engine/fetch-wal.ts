/**
 * One WAL file by name, as a `restore_command` outside of Retake's own restores wants it. Rule R7: `absent` is said only when it is
 * certain, because PostgreSQL then takes the archive for ended; a hole is an error.
 */

import { open, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { TimelineCoverage } from '../catalog/coverage.ts'
import { parseSegmentName, type SegmentPosition, segmentStart } from '../postgres/lsn.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import { openSegment, padded } from '../recovery/segment-content.ts'
import { readHistory } from '../repository/wal-archive.ts'
import type { Retake } from './open.ts'

export type FetchedWal =
  | { readonly kind: 'delivered'; readonly name: string; readonly file: string; readonly validBytes: number }
  | { readonly kind: 'absent'; readonly name: string }

/**
 * Writes a segment (zero-padded when only its beginning is held) or a history file to `file`, completely or not at all.
 *
 * ```ts
 * const fetched = await fetchWal(retake, { name: '000000010000000000000003', file: '/tmp/segment' })
 * ```
 * @throws RetakeError `wal.gap` when the segment is missing though later WAL is held; `repo.damaged`; `config.invalid`
 */
export async function fetchWal(
  retake: Retake,
  request: { readonly name: string; readonly file: string },
): Promise<FetchedWal> {
  const { name } = request
  const file = resolve(retake.directory, request.file)
  const cluster = await retake.cluster()
  const history = /^([0-9A-F]{8})\.history$/.exec(name)?.[1]
  if (history !== undefined) {
    const content = await readHistory(cluster, Number.parseInt(history, 16))
    if (!content) return { kind: 'absent', name }
    return { kind: 'delivered', name, file, validBytes: await writeWhole(file, [content]) }
  }
  const { walSegmentSizeBytes } = cluster.facts
  const position = parseSegmentName(name, walSegmentSizeBytes)
  // PostgreSQL also asks for names that no archive of ours holds, such as a .backup file.
  if (!position) return { kind: 'absent', name }
  const content = await openSegment(cluster, position)
  if (content) {
    await writeWhole(file, padded(content, walSegmentSizeBytes))
    return { kind: 'delivered', name, file, validBytes: content.validBytes }
  }
  const { coverage } = await readHeldArchive(cluster)
  if (isCertainlyAbsent(position, { coverage, segmentSizeBytes: walSegmentSizeBytes })) return { kind: 'absent', name }
  throw new RetakeError(
    'wal.gap',
    `The WAL segment ${name} is missing in the repository, and later WAL is held: recovery must not end here.`,
    {
      hint: 'Run `retake window` to see which moments can be restored.',
      details: { name },
    },
  )
}

/**
 * Whether a segment that is not held lies beyond everything that is. Later WAL of the same timeline makes it a hole, unless the
 * timeline only begins later: then PostgreSQL goes on to ask for the segment of an ancestor.
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
  const first = own.ranges[0]?.beginLsn
  const later = own.ranges.some(({ endLsn }) => endLsn > start)
  if (!later) return true
  if (first === undefined || first < end) return false
  return options.coverage.some(
    (other) =>
      other.timeline < timeline && other.ranges.some(({ beginLsn, endLsn }) => beginLsn < end && start < endLsn),
  )
}

/** Beside the destination first, so that PostgreSQL never reads half a file. */
async function writeWhole(file: string, source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
  const temporary = resolve(dirname(file), `.retake-${randomId(4)}`)
  try {
    let bytes = 0
    {
      await using handle = await open(temporary, 'wx', 0o600)
      for await (const piece of source) {
        await handle.write(piece)
        bytes += piece.length
      }
    }
    await rename(temporary, file)
    return bytes
  } catch (error) {
    await unlink(temporary).catch(() => {})
    if (error instanceof RetakeError) throw error
    throw new RetakeError(
      'config.invalid',
      `${file} could not be written (${systemErrorCode(error) ?? 'unknown error'}).`,
      {
        hint: 'Name a file in a directory that this user may write.',
        cause: error,
      },
    )
  }
}
