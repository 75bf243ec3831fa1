/**
 * The end of the WAL archive that is being written: where each timeline ends, the open tail, the segments on their way to be
 * sealed. It lives longer than a connection, so that a broken one costs nothing but the time to connect again.
 */
import { isRetakeError } from '../../base/errors.ts'
import type { Logger } from '../../base/progress.ts'
import { type Lsn, segmentOf, segmentOffset } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { tailPartKey } from '../../repository/wal-layout.ts'
import { putRange, type WalRange } from '../../repository/wal-records.ts'
import { readSegment, readSegmentMeta } from '../../repository/wal-segments.ts'
import { deleteTail, listTailParts, readTail, TailWriter } from '../../repository/wal-tail.ts'
import { type DamagedTail, type HeldWal, loadHeldWal, type OpenTail } from './held-wal.ts'
import { LocalSpool } from './local-spool.ts'
import { livesInThisProcess } from './process-local.ts'
import type { HeldTimeline } from './resume.ts'
import { openSegmentSealer, type SegmentSealer, type SegmentSealerOptions } from './segment-sealer.ts'
import { missingSpoolWarning, uploadSpool } from './upload-spool.ts'
import { BUCKET_PACE, DISK_PACE, type TailPart, WalTail } from './wal-tail.ts'

export interface ArchiveEndOptions {
  readonly cluster: ClusterRepository
  readonly synchronous: boolean
  /** Where bytes are made durable and acknowledged before the repository has them. Default: only the repository counts. */
  readonly spoolDirectory?: string | undefined
  /** Seal in a thread of its own. */
  readonly thread: boolean
  /** Writing or sealing failed; nothing more is taken. */
  readonly failed: (error: unknown) => void
  readonly logger: Logger
  readonly sealed?: SegmentSealerOptions['sealed']
}

/** Where the archive is being written. */
export interface ArchivePlace {
  readonly timeline: number
  readonly startLsn: Lsn
}

export class ArchiveEnd implements AsyncDisposable {
  /** Called whenever more is durable; see {@link flushed}. */
  onFlushed: (() => void) | undefined
  readonly #options: ArchiveEndOptions
  readonly #sealer: SegmentSealer
  readonly #spool: LocalSpool | undefined
  readonly #held = new Map<number, HeldTimeline>()
  #leftovers: OpenTail[]
  #damaged: DamagedTail[]
  #open: { readonly timeline: number; readonly tail: WalTail } | undefined

  private constructor(
    options: ArchiveEndOptions,
    { held, spool }: { readonly held: HeldWal; readonly spool: LocalSpool | undefined },
  ) {
    this.#options = options
    this.#spool = spool
    this.#leftovers = [...held.tails]
    this.#damaged = [...held.damagedTails]
    for (const timeline of held.timelines) this.#held.set(timeline.timeline, timeline)
    this.#sealer = openSegmentSealer({
      cluster: options.cluster,
      thread: options.thread && !livesInThisProcess(options.cluster.store),
      sealed: options.sealed,
    })
  }

  static async open(options: ArchiveEndOptions): Promise<ArchiveEnd> {
    const held = await loadHeldWal(options.cluster)
    for (const place of held.obsoleteTails) await deleteObsolete(place, options)
    for (const { error, what } of held.damagedObjects) {
      options.logger.error(`${error.message} ${consequenceOf(what.type)}`, { ...error.details })
    }
    for (const { error } of held.damagedTails) {
      options.logger.error(`${error.message} The server is asked for this segment once more.`, { ...error.details })
    }
    const { spoolDirectory, cluster, logger } = options
    const spool = spoolDirectory === undefined ? undefined : await LocalSpool.open(spoolDirectory, cluster)
    const archive = new ArchiveEnd(options, { held, spool })
    try {
      if (spool) await uploadSpool(spool, { archive, logger })
    } catch (error) {
      await archive[Symbol.asyncDispose]()
      throw error
    }
    const warning = missingSpoolWarning(held.inventory.position, archive.timelines)
    if (warning !== undefined) logger.error(warning)
    return archive
  }

  /** How far each timeline is durable. */
  get timelines(): readonly HeldTimeline[] {
    return [...this.#held.values()].map((held) =>
      held.timeline === this.#open?.timeline ? { ...held, endLsn: this.#open.tail.flushedLsn } : held,
    )
  }

  /** Where the open tail is durable in the repository. */
  get flushed(): { readonly timeline: number; readonly flushLsn: Lsn } | undefined {
    return this.#open && { timeline: this.#open.timeline, flushLsn: this.#open.tail.flushedLsn }
  }

  /** Up to where the server may be told that its bytes are safe: with a spool this can be more than the repository holds. */
  get acknowledged(): { readonly timeline: number; readonly flushLsn: Lsn } | undefined {
    const { flushed } = this
    const spooled = this.#spool?.flushed
    return spooled && spooled.timeline === flushed?.timeline && spooled.flushLsn > flushed.flushLsn ? spooled : flushed
  }

  /** From here on WAL is held, and why not before. Durable before the first byte that follows. */
  async recordRange(range: WalRange & { readonly startLsn: Lsn }): Promise<void> {
    const { startLsn, ...record } = range
    await putRange(this.#options.cluster, record)
    this.#held.set(range.timeline, { timeline: range.timeline, beginLsn: startLsn, endLsn: startLsn })
  }

  /** Makes ready to write from a place: leaves what was open before, and takes up the tail that ends there. */
  async continueAt(place: ArchivePlace): Promise<void> {
    await this.resumeAt(place)
    await this.#spool?.begin(place, {
      synchronous: this.#options.synchronous,
      flushed: () => this.onFlushed?.(),
      failed: this.#options.failed,
    })
  }

  /** The same, for what needs no spool because it comes from there. */
  async resumeAt(place: ArchivePlace): Promise<void> {
    if (this.#open?.timeline === place.timeline && this.#open.tail.flushedLsn === place.startLsn) {
      // Nothing that was received beyond what is durable is waiting: the last connection's end was settled.
      return
    }
    await this.#leaveOpen()
    await this.#sealLeftovers(place)
    const { cluster, synchronous } = this.#options
    const { walSegmentSizeBytes } = cluster.facts
    await this.#replaceDamaged(place)
    const restored = await this.#restorePart(place)
    const tail = new WalTail({
      timeline: place.timeline,
      startLsn: place.startLsn,
      segmentSizeBytes: walSegmentSizeBytes,
      // With a spool nobody waits for the repository.
      synchronous: synchronous && this.#spool === undefined,
      pace: cluster.store.openAppender ? DISK_PACE : BUCKET_PACE,
      part: restored,
      openPart: (segment, offsetBytes) => TailWriter.open(cluster, { timeline: place.timeline, segment, offsetBytes }),
      flushed: () => this.onFlushed?.(),
      segmentComplete: async (segment) => {
        await this.#spool?.uploaded({ timeline: place.timeline, segment })
        await this.#sealer.enqueue({ timeline: place.timeline, segment, partial: false })
      },
      failed: this.#options.failed,
    })
    this.#open = { timeline: place.timeline, tail }
  }

  /** The last bytes that are held before the place, of the same segment: to be compared with what the server has there. */
  async ending(place: ArchivePlace, maxBytes: number): Promise<Buffer> {
    const { walSegmentSizeBytes } = this.#options.cluster.facts
    const offsetBytes = segmentOffset(place.startLsn, walSegmentSizeBytes)
    const wanted = Math.min(offsetBytes, maxBytes)
    if (wanted === 0) return Buffer.alloc(0)
    const ending = Buffer.alloc(wanted)
    let position = 0
    for await (const piece of this.#pieces(place, offsetBytes)) {
      const from = position - (offsetBytes - wanted)
      ending.set(from < 0 ? piece.subarray(Math.min(piece.length, -from)) : piece, Math.max(0, from))
      position += piece.length
    }
    return ending
  }

  /** @throws RetakeError `postgres.protocol`, or what failed before */
  write(startLsn: Lsn, bytes: Uint8Array): void | Promise<void> {
    const spooled = this.#spool?.write(startLsn, bytes)
    // Whether it fails is heard of below, or by `failed`.
    spooled?.catch(() => {})
    const taken = this.#open?.tail.write(startLsn, bytes)
    if (spooled === undefined) return taken
    return Promise.all([spooled, taken]).then(() => {})
  }

  /** Resolves when everything that was written is durable in the repository. */
  async settle(): Promise<void> {
    await this.#spool?.settle()
    await this.#open?.tail.settle()
  }

  /** Waits until every finished segment is sealed. */
  async drain(): Promise<void> {
    await this.#sealer.drain()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _sealer = this.#sealer
    await using _spool = this.#spool
    await this.#open?.tail[Symbol.asyncDispose]()
  }

  async #leaveOpen(): Promise<void> {
    const open = this.#open
    if (open === undefined) return
    await open.tail.settle()
    this.#open = undefined
    await open.tail[Symbol.asyncDispose]()
    const { walSegmentSizeBytes } = this.#options.cluster.facts
    const endLsn = open.tail.flushedLsn
    const held = this.#held.get(open.timeline)
    // A new range of the same timeline (after a gap) has its own end.
    if (held && endLsn > held.beginLsn) this.#held.set(open.timeline, { ...held, endLsn })
    const validBytes = segmentOffset(endLsn, walSegmentSizeBytes)
    if (validBytes > 0) {
      this.#leftovers.push({ timeline: open.timeline, segment: segmentOf(endLsn, walSegmentSizeBytes), validBytes })
    }
  }

  /** Tails other than the one to be continued: complete ones that a crash left unsealed, and ends of what was left. */
  async #sealLeftovers(place: ArchivePlace): Promise<void> {
    const { walSegmentSizeBytes } = this.#options.cluster.facts
    const current = segmentOf(place.startLsn, walSegmentSizeBytes)
    const leftovers = this.#leftovers
    this.#leftovers = []
    for (const { timeline, segment, validBytes } of leftovers) {
      const partial = validBytes < walSegmentSizeBytes
      if (timeline === place.timeline && segment === current && partial) continue
      await this.#sealer.enqueue({ timeline, segment, partial })
    }
  }

  /** A tail that cannot be read would also hide what comes after it. What was in it is received again, from the segment's start. */
  async #replaceDamaged(place: ArchivePlace): Promise<void> {
    const { cluster } = this.#options
    const current = segmentOf(place.startLsn, cluster.facts.walSegmentSizeBytes)
    const due = this.#damaged.filter(({ timeline, segment }) => timeline === place.timeline && segment === current)
    this.#damaged = this.#damaged.filter((tail) => !due.includes(tail))
    for (const tail of due) await deleteTail(cluster, tail)
  }

  /**
   * A part that a dead process wrote may be whole in memory and not on the disk. So its bytes are written once more, into a
   * new part, with a barrier: only then do they count as flushed.
   */
  async #restorePart(place: ArchivePlace): Promise<TailPart | undefined> {
    const { cluster } = this.#options
    const { walSegmentSizeBytes } = cluster.facts
    const { timeline } = place
    const segment = segmentOf(place.startLsn, walSegmentSizeBytes)
    const offsetBytes = segmentOffset(place.startLsn, walSegmentSizeBytes)
    if (offsetBytes === 0) return undefined
    const former = await listTailParts(cluster, { timeline, segment })
    const part = await TailWriter.open(cluster, { timeline, segment, offsetBytes: 0 })
    try {
      for await (const piece of this.#pieces(place, offsetBytes)) await part.append(piece)
      await part.sync()
      for (const old of former) {
        await cluster.store.delete(tailPartKey(cluster.facts.name, old), { copies: 'reachable' })
      }
      return part
    } catch (error) {
      await part.close()
      throw error
    }
  }

  /** What is held of the place's segment, up to the place. */
  async *#pieces(place: ArchivePlace, lengthBytes: number): AsyncGenerator<Uint8Array> {
    const { cluster } = this.#options
    const segment = segmentOf(place.startLsn, cluster.facts.walSegmentSizeBytes)
    const tail = await readTail(cluster, { timeline: place.timeline, segment })
    const source = tail?.bytes ?? readSegment(cluster, { timeline: place.timeline, segment, partial: true })
    let rest = lengthBytes
    for await (const piece of source) {
      const part = piece.subarray(0, rest)
      if (part.length > 0) yield part
      rest -= part.length
      if (rest === 0) return
    }
  }
}

/** The tail of a segment that is stored as a whole; while that one cannot be opened, the tail is all there is. */
async function deleteObsolete(
  place: { readonly timeline: number; readonly segment: bigint },
  { cluster, logger }: ArchiveEndOptions,
): Promise<void> {
  try {
    await readSegmentMeta(cluster, { ...place, partial: false })
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    logger.error(`${error.message} Its tail is kept.`, { ...error.details })
    return
  }
  await deleteTail(cluster, place)
}

/** What the receiver does about an object that it cannot read; nothing that is stored is replaced but the position. */
function consequenceOf(what: HeldWal['damagedObjects'][number]['what']['type']): string {
  switch (what) {
    case 'position':
      return 'It is written anew as soon as WAL is durable.'
    case 'range':
      return 'WAL counts as held from where its name says; why it begins there is lost.'
    case 'history':
      return 'No restore on its timeline is possible until it is put back from a copy.'
    default:
      return 'The WAL in it does not count as held; the server is asked for it if it still has it.'
  }
}
