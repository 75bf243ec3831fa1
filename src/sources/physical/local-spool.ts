/**
 * A directory of this machine that makes WAL durable before a bucket does, so that it can be acknowledged at once. It holds what
 * the repository's tail would hold, sealed alike and under the same names, from where the bucket ends; what the bucket holds is
 * removed. After a crash it is the only holder of bytes that the server was told are safe.
 */
import { mkdir, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { type Lsn, segmentStart } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { parseWalKey, type TailId, tailPartKey, walPrefix } from '../../repository/wal-layout.ts'
import { deleteTail, listTailParts, readTail, TailWriter } from '../../repository/wal-tail.ts'
import { DIRECTORY_MODE, syncDirectory } from '../../storage/directory-files.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import { assertOurs } from './spool-marker.ts'
import { DISK_PACE, WalTail } from './wal-tail.ts'

/** Below it what has no place in the repository lies under its own name. */
export const SET_ASIDE = 'set-aside'

/** A stretch of one segment that the spool holds. */
export interface SpooledWal extends TailId {
  readonly beginLsn: Lsn
  readonly endLsn: Lsn
  /** From `beginLsn` to `endLsn`. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** One that cannot be read. */
export interface DamagedSpool extends TailId {
  readonly error: RetakeError
}

export class LocalSpool implements AsyncDisposable {
  readonly directory: string
  /** The repository's cluster, kept in the spool's directory. */
  readonly #cluster: ClusterRepository
  #open: { readonly timeline: number; readonly tail: WalTail } | undefined

  private constructor(directory: string, cluster: ClusterRepository) {
    this.directory = directory
    this.#cluster = cluster
  }

  /**
   * Opens the spool of a cluster, or makes it.
   * @throws RetakeError `cluster.foreign` for the spool of another repository or cluster, `config.invalid` for a directory of something else
   */
  static async open(path: string, cluster: ClusterRepository): Promise<LocalSpool> {
    const directory = resolve(path)
    await makeDirectory(directory)
    const store = new DirectoryStore(directory)
    await assertOurs(store, cluster)
    return new LocalSpool(directory, { ...cluster, store })
  }

  /** For a look at what is held: makes and changes nothing. Whose it is must be known. */
  static look(directory: string, cluster: ClusterRepository): LocalSpool {
    return new LocalSpool(directory, { ...cluster, store: new DirectoryStore(directory) })
  }

  /** Up to where the bytes since {@link begin} are durable here. */
  get flushed(): { readonly timeline: number; readonly flushLsn: Lsn } | undefined {
    return this.#open && { timeline: this.#open.timeline, flushLsn: this.#open.tail.flushedLsn }
  }

  /** What is held, in the order in which it was received. */
  async *held(): AsyncGenerator<SpooledWal | DamagedSpool> {
    const { walSegmentSizeBytes } = this.#cluster.facts
    const tails = await this.#tails()
    for (const [index, id] of tails.entries()) {
      try {
        const tail = await readTail(this.#cluster, id)
        if (tail === undefined) continue
        // A segment is durable to its end before the next one begins.
        const isLast = tails[index + 1]?.timeline !== id.timeline
        if (!isLast && tail.validBytes < walSegmentSizeBytes) throw incompleteError(id, tail.validBytes)
        const start = segmentStart(id.segment, walSegmentSizeBytes)
        const beginLsn = (start + BigInt(tail.beginBytes)) as Lsn
        yield { ...id, beginLsn, endLsn: (start + BigInt(tail.validBytes)) as Lsn, bytes: tail.bytes }
      } catch (error) {
        if (!isRetakeError(error, 'repo.damaged')) throw error
        yield { ...id, error }
      }
    }
  }

  /** Makes ready to take what begins at a place. Everything that was held before is in the repository by now. */
  async begin(
    place: { readonly timeline: number; readonly startLsn: Lsn },
    options: {
      readonly synchronous: boolean
      readonly flushed: () => void
      readonly failed: (error: unknown) => void
    },
  ): Promise<void> {
    const { timeline, startLsn } = place
    const open = this.#open
    if (open?.timeline === timeline && open.tail.flushedLsn === startLsn && open.tail.endLsn === startLsn) return
    await this.#close()
    for (const id of await this.#tails()) await deleteTail(this.#cluster, id)
    const cluster = this.#cluster
    const tail = new WalTail({
      ...options,
      timeline,
      startLsn,
      segmentSizeBytes: cluster.facts.walSegmentSizeBytes,
      pace: DISK_PACE,
      openPart: (segment, offsetBytes) => TailWriter.open(cluster, { timeline, segment, offsetBytes }),
      segmentComplete: () => {},
    })
    this.#open = { timeline, tail }
  }

  /** As {@link WalTail.write}; nothing is taken before {@link begin}. */
  write(startLsn: Lsn, bytes: Uint8Array): void | Promise<void> {
    return this.#open?.tail.write(startLsn, bytes)
  }

  async settle(): Promise<void> {
    await this.#open?.tail.settle()
  }

  /** The repository holds everything of the timeline up to the end of a segment. */
  async uploaded(last: TailId): Promise<void> {
    for (const id of await this.#tails()) {
      if (id.timeline === last.timeline && id.segment <= last.segment) await deleteTail(this.#cluster, id)
    }
  }

  /** Keeps what has no place in the repository out of the way. @returns where it is now */
  async setAside(id: TailId): Promise<string> {
    for (const part of await listTailParts(this.#cluster, id)) {
      const key = tailPartKey(this.#cluster.facts.name, part)
      const target = join(this.directory, SET_ASIDE, key)
      await makeDirectory(dirname(target))
      await rename(join(this.directory, key), target)
      await syncDirectory(dirname(target))
    }
    return join(this.directory, SET_ASIDE)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  async #close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.tail[Symbol.asyncDispose]()
  }

  async #tails(): Promise<TailId[]> {
    const { store, facts } = this.#cluster
    const tails = new Map<string, TailId>()
    for await (const { key } of store.list(walPrefix(facts.name))) {
      const parsed = parseWalKey(facts.name, key)
      if (parsed?.type !== 'tail') continue
      const { timeline, segment } = parsed
      tails.set(`${timeline}/${segment}`, { timeline, segment })
    }
    return [...tails.values()].sort((a, b) => a.timeline - b.timeline || (a.segment < b.segment ? -1 : 1))
  }
}

function incompleteError(id: TailId, validBytes: number): RetakeError {
  return new RetakeError(
    'repo.damaged',
    `Of segment ${id.segment} of timeline ${id.timeline} only ${validBytes} bytes can be read, though later ones were received.`,
    { hint: 'Check the disk of the spool.', details: { timeline: id.timeline, validBytes } },
  )
}

/** Each name is durable, or what is in the directory would not be. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first) return
  }
}
