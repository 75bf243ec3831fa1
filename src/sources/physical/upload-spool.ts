/** After a crash the spool holds what was acknowledged and is not in the repository: it is brought there before anything else. */
import type { Logger } from '../../base/progress.ts'
import { formatLsn, type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { WalPosition } from '../../repository/wal-records.ts'
import type { LocalSpool, SpooledWal } from './local-spool.ts'
import type { HeldTimeline } from './resume.ts'

/** Where the archive ends, and goes on. */
interface Place {
  readonly timeline: number
  readonly startLsn: Lsn
}

/** The archive as it takes up what was spooled. */
export interface SpoolTarget {
  readonly timelines: readonly HeldTimeline[]
  /** Nothing that is written from here on is spooled. */
  resumeAt(place: Place): Promise<void>
  ending(place: Place, maxBytes: number): Promise<Buffer>
  write(startLsn: Lsn, bytes: Uint8Array): void | Promise<void>
  settle(): Promise<void>
}

export type SpooledVerdict =
  | { readonly kind: 'held' }
  | { readonly kind: 'continues'; readonly fromLsn: Lsn }
  /** It has no place in the archive: another receiver went on without it. */
  | { readonly kind: 'apart'; readonly explanation: string }

/** How much of what both hold must be equal. */
const COMPARED_BYTES = 64 * 1024

/** What is to be done with a stretch of the spool. */
export function judgeSpooled(
  wal: { readonly timeline: number; readonly beginLsn: Lsn; readonly endLsn: Lsn },
  held: readonly HeldTimeline[],
): SpooledVerdict {
  const { timeline, beginLsn, endLsn } = wal
  if (beginLsn === endLsn) return { kind: 'held' }
  const own = held.find((one) => one.timeline === timeline)
  if (own && own.beginLsn <= beginLsn && endLsn <= own.endLsn) return { kind: 'held' }
  const newest = Math.max(0, ...held.map((one) => one.timeline))
  if (newest > timeline) return { kind: 'apart', explanation: `the archive went on to timeline ${newest} without it` }
  if (own === undefined) return { kind: 'apart', explanation: `the archive holds nothing of timeline ${timeline}` }
  if (beginLsn > own.endLsn)
    return { kind: 'apart', explanation: `the archive ends before it, at ${formatLsn(own.endLsn)}` }
  if (endLsn <= own.endLsn)
    return { kind: 'apart', explanation: `the archive begins after it, at ${formatLsn(own.beginLsn)}` }
  return { kind: 'continues', fromLsn: own.endLsn }
}

/** Brings everything that the spool holds into the archive, and empties the spool. What has no place there is kept aside, and said. */
export async function uploadSpool(
  spool: LocalSpool,
  options: { readonly archive: SpoolTarget; readonly logger: Logger },
): Promise<void> {
  const { archive, logger } = options
  for await (const wal of spool.held()) {
    if ('error' in wal) {
      const place = await spool.setAside(wal)
      logger.error(`${wal.error.message} It was in the spool, and is now in ${place}.`, { ...wal.error.details })
      continue
    }
    const verdict = judgeSpooled(wal, archive.timelines)
    const stretch = `${formatLsn(wal.beginLsn)} to ${formatLsn(wal.endLsn)} on timeline ${wal.timeline}`
    const apart = verdict.kind === 'apart' ? verdict.explanation : await upload(wal, { archive, verdict })
    if (apart !== undefined) {
      const place = await spool.setAside(wal)
      logger.error(
        `WAL that was acknowledged has no place in the repository: ${stretch}; ${apart}. It is kept in ${place}. Take a new backup now: retake backup.`,
        { timeline: wal.timeline, beginLsn: formatLsn(wal.beginLsn), endLsn: formatLsn(wal.endLsn) },
      )
      continue
    }
    if (verdict.kind === 'continues') {
      logger.info(`Uploaded from the spool what a former receiver had left there: ${stretch}.`)
    }
    await spool.uploaded(wal)
  }
}

/** @returns why it cannot be the continuation, if it cannot; then nothing was written */
async function upload(
  wal: SpooledWal,
  options: { readonly archive: SpoolTarget; readonly verdict: SpooledVerdict },
): Promise<string | undefined> {
  const { archive, verdict } = options
  if (verdict.kind !== 'continues') return undefined
  const { fromLsn } = verdict
  const place = { timeline: wal.timeline, startLsn: fromLsn }
  const shared = await archive.ending(place, Math.min(COMPARED_BYTES, Number(fromLsn - wal.beginLsn)))
  const sharedBegin = fromLsn - BigInt(shared.length)
  let positionLsn: bigint = wal.beginLsn
  let resumed = false
  for await (const piece of wal.bytes) {
    const [known, rest] = splitAt(piece, Number(fromLsn - positionLsn))
    const compared = known.subarray(Math.max(0, Number(sharedBegin - positionLsn)))
    const at = Math.max(0, Number(positionLsn - sharedBegin))
    if (!shared.subarray(at, at + compared.length).equals(compared)) {
      return `its bytes before ${formatLsn(fromLsn)} differ from what the archive holds`
    }
    positionLsn += BigInt(piece.length)
    if (rest.length === 0) continue
    if (!resumed) await archive.resumeAt(place)
    resumed = true
    await archive.write((positionLsn - BigInt(rest.length)) as Lsn, rest)
  }
  await archive.settle()
  return undefined
}

function splitAt(bytes: Uint8Array, offset: number): [before: Uint8Array, after: Uint8Array] {
  const at = Math.min(Math.max(0, offset), bytes.length)
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

/** Says when a spool elsewhere still holds what was acknowledged, as far as the position tells. */
export function missingSpoolWarning(
  position: WalPosition | undefined,
  held: readonly HeldTimeline[],
): string | undefined {
  if (position?.spool === undefined) return undefined
  const { host, acknowledgedLsn } = position.spool
  const end = held.find(({ timeline }) => timeline === position.timeline)?.endLsn
  if (end !== undefined && end >= parseLsn(acknowledgedLsn)) return undefined
  return (
    `A receiver on ${host} has acknowledged WAL up to ${acknowledgedLsn} of timeline ${position.timeline} into its spool, and the repository holds it only up to ` +
    `${end === undefined ? 'nowhere' : formatLsn(end)}. If that machine still exists, start the receiver there. The server is asked for what is missing.`
  )
}
