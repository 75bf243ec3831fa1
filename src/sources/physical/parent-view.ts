/** What a backup may refer to: files of its parent, pages of them where their LSNs can be trusted, and contents of earlier packs. */
import type { KnownContent, KnownFile, KnownStretch } from './known-content.ts'
import { knownPages, type PageStretch } from './known-pages.ts'
import type { PackFacts } from './pack-series.ts'
import type { KnownPages } from './page-change.ts'

/** Files whose block maps are kept decoded; a stream has few open at a time. */
const FILES_KEPT = 8

export interface ParentViewOptions {
  readonly known: KnownContent
  readonly blockSizeBytes: number
  /** Packs that are about to be deleted. */
  readonly condemned: ReadonlySet<string>
}

export class ParentView {
  readonly #options: ParentViewOptions
  readonly #files = new Map<string, KnownFile | undefined>()
  /** Our own packs; those of earlier backups come with what is known. */
  readonly #packs = new Map<string, PackFacts>()
  #trusts: (path: string) => boolean = () => false

  constructor(options: ParentViewOptions) {
    this.#options = options
  }

  /** From now on pages of these files are judged by their LSN; until then, of none. */
  trust(trusts: (path: string) => boolean): void {
    this.#trusts = trusts
  }

  file(path: string): KnownFile | undefined {
    if (this.#files.has(path)) return this.#files.get(path)
    const file = this.#options.known.file(path)
    if (this.#files.size >= FILES_KEPT) this.#files.delete(this.#files.keys().next().value ?? '')
    this.#files.set(path, file)
    return file
  }

  /** Nothing that the parent holds is about to be deleted. */
  get isWholeUsable(): boolean {
    return this.#options.known.parentPacks.every(({ packId }) => !this.#options.condemned.has(packId))
  }

  /** Undefined when the parent has no such file, or the LSNs of this one say nothing. */
  pages(path: string, stretch: PageStretch, firstBlockNumber: number): KnownPages | undefined {
    const file = this.#trusts(path) ? this.file(path) : undefined
    return file && knownPages(file, stretch, { ...this.#options, firstBlockNumber })
  }

  /** The content id of a small file of the parent, if it may be referred to. */
  contentIdOf(path: string): string | undefined {
    const file = this.file(path)
    const usable = file?.entry.runs.every(({ frame }) => {
      const pack = frame && file.packs[frame.pack]
      return !pack || !this.#options.condemned.has(pack.packId)
    })
    return usable ? file?.entry.contentId : undefined
  }

  content(contentId: string): KnownStretch | undefined {
    return this.#options.known.content(contentId)
  }

  /** A pack of this backup. */
  opened(pack: PackFacts): void {
    this.#packs.set(pack.packId, pack)
  }

  pack(packId: string): PackFacts | undefined {
    return this.#packs.get(packId) ?? this.#options.known.pack(packId)
  }

  /** Something of this backup that may come again. */
  remember(contentId: string, stretch: KnownStretch): void {
    const pack = this.pack(stretch.frame.packId)
    if (pack) this.#options.known.addContent(contentId, stretch, pack)
  }
}
