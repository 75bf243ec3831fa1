/**
 * What happens to a frame of plaintext, in a worker or in the thread of the caller: which pages changed, page checksums, zeros left
 * out, content ids, what is held already, and for the rest compression, sealing and a place in a pack. Whoever fills the frames,
 * the replication stream or a reader of files, the judgement is made here.
 */
import { assert } from '../../base/errors.ts'
import { findBadPages, type PageKernel } from '../../postgres/page.ts'
import { contentId, type Sealing } from '../../repository/sealing.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { Bundle } from './bundle.ts'
import type { BadPage, FrameOutcome, PieceFindings, Placement, TaskPiece } from './frame-task.ts'
import type { KnownStretch } from './known-content.ts'
import { type PackFacts, PackSeries } from './pack-series.ts'
import { classifyPages, type PageRule, visiblePages } from './page-change.ts'
import { planRegion } from './region-plan.ts'
import { FRAME_BYTES } from './slab.ts'

export interface FrameProcessorOptions {
  readonly store: ObjectStore
  readonly sealing: Sealing
  readonly backupId: string
  readonly compressionLevel: number
  readonly blockSizeBytes: number
  /** For frames in its memory: checks their pages several times as fast. */
  readonly pageKernel?: PageKernel | undefined
  /** When pages may be judged by their LSN: the rule. */
  readonly pageRule?: PageRule | undefined
  readonly packTargetBytes?: number | undefined
}

export interface FrameProcessorEvents {
  /** A pack was begun; always before the first frame that is in it. */
  pack(pack: PackFacts): void
  /** What had waited for company is stored. */
  bundled(placements: readonly Placement[]): void
  /** Where contents are held already, in the order of the ids. */
  lookUp(contentIds: readonly string[]): Promise<readonly (KnownStretch | undefined)[]>
}

/** What is to be done with a piece. */
interface Verdict {
  readonly piece: TaskPiece
  readonly bytes: Buffer
  readonly plan: 'zeros' | 'parent' | 'whole' | Uint8Array
  /** With a plan by pages. */
  readonly zero?: Uint8Array | undefined
  readonly changedBytes: number
  readonly contentId?: string | undefined
}

const ZEROS = Buffer.alloc(FRAME_BYTES)

export class FrameProcessor implements AsyncDisposable {
  readonly #options: FrameProcessorOptions
  readonly #events: FrameProcessorEvents
  readonly #packs: PackSeries
  readonly #bundle: Bundle
  /** Frames are stored one at a time; looking up the next goes on meanwhile. */
  #storing: Promise<unknown> = Promise.resolve()

  constructor(options: FrameProcessorOptions, events: FrameProcessorEvents) {
    this.#options = options
    this.#events = events
    this.#packs = new PackSeries({ ...options, targetBytes: options.packTargetBytes }, (pack) => events.pack(pack))
    this.#bundle = new Bundle(options.blockSizeBytes, async (bytes, place) => {
      const frame = await this.#packs.write(bytes, contentId(options.sealing, bytes))
      events.bundled(place(frame))
    })
  }

  get storedBytes(): number {
    return this.#packs.storedBytes
  }

  /** Several may be under way; the bytes must stay as they are until the promise resolves. */
  async process(bytes: Uint8Array, pieces: readonly TaskPiece[]): Promise<FrameOutcome> {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (isAllZero(view)) return { placements: pieces.map(zeros), badPages: [], facts: [], changedBytes: 0 }
    const verdicts = pieces.map((piece) => this.#judge(view, piece))
    const known = await this.#lookUp(verdicts, view)
    const fresh = verdicts.filter((verdict) => verdict.plan === 'whole' && !known.has(verdict))
    const placements = verdicts.flatMap((verdict) => placedAlready(verdict, known.get(verdict), this.#options))
    const toStore = verdicts.filter((verdict) => typeof verdict.plan !== 'string' || fresh.includes(verdict))
    const badPages = toStore.flatMap((verdict) => this.#badPages(verdict))
    if (toStore.length > 0) {
      const stored = this.#storing.then(() =>
        fresh.length === pieces.length ? this.#storeFrame(view, fresh) : this.#gather(toStore),
      )
      this.#storing = stored.catch(() => {})
      placements.push(...(await stored))
    }
    const changed = verdicts.filter((verdict) => verdict.plan !== 'whole' || fresh.includes(verdict))
    return {
      placements,
      badPages,
      facts: verdicts.flatMap((verdict) => this.#findings(verdict)),
      changedBytes: changed.reduce((sum, verdict) => sum + verdict.changedBytes, 0),
    }
  }

  async finish(): Promise<void> {
    await this.#storing
    await this.#bundle.flush()
    await this.#packs.finish()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#packs[Symbol.asyncDispose]()
  }

  #judge(view: Buffer, piece: TaskPiece): Verdict {
    const { pageRule, blockSizeBytes, sealing } = this.#options
    const { known, frameOffsetBytes, lengthBytes, knownContentId, wholeFile } = piece
    const bytes = view.subarray(frameOffsetBytes, frameOffsetBytes + lengthBytes)
    const base = { piece, bytes }
    if (isAllZero(bytes)) return { ...base, plan: 'zeros', changedBytes: 0 }
    if (known && pageRule && lengthBytes % blockSizeBytes === 0) {
      const { changed, zero } = classifyPages(bytes, { rule: pageRule, known })
      const plan = planRegion({ sources: known.sources, changed, zero })
      const changedBytes = changed.reduce((sum, one, page) => sum + (zero[page] ? 0 : one), 0) * blockSizeBytes
      if (plan === 'refer') return { ...base, plan: 'parent', changedBytes, contentId: knownContentId }
      const id = wholeFile ? contentId(sealing, bytes) : undefined
      return { ...base, plan, zero, changedBytes, contentId: id }
    }
    const id = wholeFile ? contentId(sealing, bytes) : undefined
    if (id !== undefined && id === knownContentId) return { ...base, plan: 'parent', changedBytes: 0, contentId: id }
    return { ...base, plan: 'whole', changedBytes: lengthBytes, contentId: id }
  }

  /** Asks for what may be held already: a file, or a frame that is a region of one file. */
  async #lookUp(verdicts: readonly Verdict[], view: Buffer): Promise<Map<Verdict, KnownStretch>> {
    const asked: { readonly verdict: Verdict; readonly id: string }[] = []
    for (const verdict of verdicts) {
      if (verdict.plan !== 'whole') continue
      const isFrame = verdict.bytes.length === view.length
      const id = verdict.contentId ?? (isFrame ? contentId(this.#options.sealing, verdict.bytes) : undefined)
      if (id !== undefined) asked.push({ verdict, id })
    }
    const known = new Map<Verdict, KnownStretch>()
    if (asked.length === 0) return known
    const answers = await this.#events.lookUp(asked.map(({ id }) => id))
    for (const [index, { verdict }] of asked.entries()) {
      const answer = answers[index]
      if (answer?.lengthBytes === verdict.bytes.length) known.set(verdict, answer)
    }
    return known
  }

  /** Everything in it is new: it is stored as it is, without copying. */
  async #storeFrame(view: Buffer, verdicts: readonly Verdict[]): Promise<Placement[]> {
    const frame = await this.#packs.write(view, contentId(this.#options.sealing, view))
    return verdicts.map(({ piece, contentId: id }) => ({
      ...stretchOf(piece),
      source: { frame, frameOffsetBytes: piece.frameOffsetBytes },
      contentId: id ?? (piece.lengthBytes === view.length ? frame.contentId : undefined),
    }))
  }

  /** Puts what is new beside what is new elsewhere; it is placed when the bundle is full, or at the end. */
  async #gather(verdicts: readonly Verdict[]): Promise<Placement[]> {
    for (const { piece, bytes, plan, contentId: id } of verdicts) {
      if (plan === 'whole') {
        await this.#bundle.add(bytes, { ...stretchOf(piece), contentId: id })
        continue
      }
      assert(typeof plan !== 'string', 'what is zeros or the parent has is not stored')
      for (const { first, count } of stretches(plan, (flag) => flag === 1)) {
        const start = first * this.#options.blockSizeBytes
        const part = bytes.subarray(start, start + count * this.#options.blockSizeBytes)
        await this.#bundle.addPages(part, { file: piece.file, fileOffsetBytes: piece.fileOffsetBytes + start })
      }
    }
    return []
  }

  #badPages({ piece, bytes, plan }: Verdict): FrameOutcome['badPages'] {
    const { blockSizeBytes } = this.#options
    const { firstBlockNumber, checked, file } = piece
    if (firstBlockNumber === undefined || !checked) return []
    const count = Math.floor(bytes.length / blockSizeBytes)
    const looked = typeof plan === 'string' ? [{ first: 0, count }] : stretches(plan, (flag) => flag === 1)
    const pages = looked.flatMap(({ first, count }) => {
      const part = bytes.subarray(first * blockSizeBytes, (first + count) * blockSizeBytes)
      return this.#findBad(part, firstBlockNumber + first)
    })
    return pages.length > 0 ? [{ file, pages }] : []
  }

  #findBad(part: Buffer, firstBlockNumber: number): BadPage[] {
    const { blockSizeBytes, sealing, pageKernel: kernel } = this.#options
    return findBadPages(part, { firstBlockNumber, blockSizeBytes, kernel }).map(({ blockNumber, lsn }) => {
      const start = (blockNumber - firstBlockNumber) * blockSizeBytes
      return { blockNumber, lsn, fingerprint: contentId(sealing, part.subarray(start, start + blockSizeBytes)) }
    })
  }

  #findings({ piece, bytes, plan, contentId: id }: Verdict): PieceFindings[] {
    const { mainFork, file, fileOffsetBytes } = piece
    if (plan === 'zeros' || (!mainFork && id === undefined)) return []
    const visible = mainFork ? visiblePages(bytes, this.#options.blockSizeBytes) : undefined
    return [{ file, fileOffsetBytes, visible, contentId: id }]
  }
}

/** Compares with zeros in native code, which ends at the first other byte. */
export function isAllZero(bytes: Uint8Array): boolean {
  return ZEROS.subarray(0, bytes.length).equals(bytes)
}

function stretchOf({ file, fileOffsetBytes, lengthBytes }: TaskPiece) {
  return { file, fileOffsetBytes, lengthBytes }
}

function zeros(piece: TaskPiece): Placement {
  return { ...stretchOf(piece), source: 'zeros' }
}

/** The parts of a piece for which nothing is stored. */
function placedAlready(
  { piece, plan, zero }: Verdict,
  known: KnownStretch | undefined,
  { blockSizeBytes }: FrameProcessorOptions,
): Placement[] {
  if (plan === 'zeros') return [zeros(piece)]
  if (plan === 'parent') return [{ ...stretchOf(piece), source: 'parent' }]
  if (plan === 'whole') {
    if (!known) return []
    return [{ ...stretchOf(piece), source: { frame: known.frame, frameOffsetBytes: known.frameOffsetBytes } }]
  }
  const place = (source: 'zeros' | 'parent', isIt: (flag: number, page: number) => boolean) =>
    stretches(plan, isIt).map(({ first, count }) => ({
      file: piece.file,
      fileOffsetBytes: piece.fileOffsetBytes + first * blockSizeBytes,
      lengthBytes: count * blockSizeBytes,
      source,
    }))
  return [
    ...place('zeros', (_, page) => zero?.[page] === 1),
    ...place('parent', (flag, page) => flag === 0 && zero?.[page] !== 1),
  ]
}

/** Neighbouring pages that are alike in this. */
function stretches(
  flags: Uint8Array,
  isIt: (flag: number, page: number) => boolean,
): { readonly first: number; readonly count: number }[] {
  const found: { first: number; count: number }[] = []
  for (const [page, flag] of flags.entries()) {
    if (!isIt(flag, page)) continue
    const last = found.at(-1)
    if (last && last.first + last.count === page) last.count += 1
    else found.push({ first: page, count: 1 })
  }
  return found
}
