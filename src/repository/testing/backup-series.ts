/** A cluster whose backups share frames as incremental ones do, with the WAL between them, and a model that knows every byte. */
import { randomBytes } from 'node:crypto'
import { assert } from '../../base/errors.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../cluster.ts'
import { readCondemnedPacks } from '../condemned.ts'
import { ContainerWriter, openContainer } from '../container.ts'
import { packIdPrefix, packKey } from '../layout.ts'
import { acquireLease } from '../lease.ts'
import type { FileEntry, PackEntry } from '../manifest.ts'
import { listBackupIds, ManifestWriter, readEntries } from '../manifest-store.ts'
import type { PlacedFrame } from '../repack.ts'
import type { Repository } from '../repository.ts'
import { beginRun, cleanInterruptedRuns } from '../runs.ts'
import { contentId } from '../sealing.ts'
import { putPosition, putRange } from '../wal-records.ts'
import { putSegment } from '../wal-segments.ts'
import { exampleFacts } from './example-repository.ts'

export const SERIES_SEGMENT_BYTES = 8192

export interface SeriesBackup {
  readonly backupId: string
  readonly stoppedAt: string
  readonly files: ReadonlyMap<string, Buffer>
}

interface StoredFile {
  readonly content: Buffer
  /** Undefined: it must be stored. */
  readonly placed: PlacedFrame | undefined
}

export class BackupSeries {
  readonly cluster: ClusterRepository
  readonly backups: SeriesBackup[] = []
  /** The files of the server now, and where the newest backup has them. */
  readonly #files = new Map<string, StoredFile>()
  #segment = 1n

  private constructor(cluster: ClusterRepository) {
    this.cluster = cluster
  }

  static async begin(repository: Repository, name = 'main'): Promise<BackupSeries> {
    const facts = { ...exampleFacts, name, walSegmentSizeBytes: SERIES_SEGMENT_BYTES }
    const series = new BackupSeries(await repository.registerCluster(facts))
    const at = '2026-01-01T00:00:00.000Z'
    const beginLsn = formatLsn(BigInt(SERIES_SEGMENT_BYTES))
    await putRange(series.cluster, { timeline: 1, beginLsn, reason: 'first-contact', at, explanation: 'It begins.' })
    return series
  }

  /** So many segments more are written and archived. */
  async writeWal(segments: number, at: Date): Promise<void> {
    for (let count = 0; count < segments; count++) {
      const id = { timeline: 1, segment: this.#segment, partial: false, validBytes: SERIES_SEGMENT_BYTES }
      await putSegment(this.cluster, id, [Buffer.alloc(SERIES_SEGMENT_BYTES, `wal ${this.#segment} `)], {
        ...{ commits: 1, restorePoints: [], lastAt: at.toISOString() },
      })
      this.#segment += 1n
    }
    const flushLsn = formatLsn(this.#segment * BigInt(SERIES_SEGMENT_BYTES))
    const now = at.toISOString()
    await putPosition(this.cluster, { timeline: 1, flushLsn, at: now, serverTime: now, caughtUpAt: now })
  }

  /** The server writes these files anew; the next backup stores them. */
  change(paths: readonly string[]): void {
    for (const path of paths) {
      const content = Buffer.concat([Buffer.from(`${path} `), randomBytes(700), Buffer.alloc(800, path)])
      this.#files.set(path, { content, placed: undefined })
    }
  }

  /**
   * A backup that ends at `at`: stores what has changed, and refers to the rest where the newest backup has it, by the rules for
   * whoever refers to existing packs. Its WAL is archived with it.
   */
  async backUp(at: Date): Promise<SeriesBackup> {
    const { cluster } = this
    const id = `${at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')}-${randomBytes(4).toString('hex')}`
    await using lease = await acquireLease(cluster, { role: 'backup', holder: 'series' })
    await cleanInterruptedRuns(cluster)
    await beginRun(cluster, id)
    await this.#findPlaces(await readCondemnedPacks(cluster))
    const startLsn = formatLsn(this.#segment * BigInt(SERIES_SEGMENT_BYTES) + 40n)
    await this.#storeChanged(id)
    await this.writeWal(2, at)
    const stopLsn = formatLsn(this.#segment * BigInt(SERIES_SEGMENT_BYTES) - 100n)
    await lease.assertHeld()
    await this.#writeManifest(id, { startLsn, stopLsn, at: at.toISOString() })
    const files = new Map([...this.#files].map(([path, { content }]) => [path, content]))
    const backup = { backupId: id, stoppedAt: at.toISOString(), files }
    this.backups.push(backup)
    return backup
  }

  /** Where the newest backup has what has not changed; what is not there, or is condemned, is stored again. */
  async #findPlaces(condemned: ReadonlySet<string>): Promise<void> {
    const { cluster } = this
    const newest = (await listBackupIds(cluster)).at(-1)
    const packs: PackEntry[] = []
    const places = new Map<string, PlacedFrame>()
    for await (const entry of newest === undefined ? [] : readEntries(cluster, newest)) {
      if (entry.type === 'pack') packs.push(entry)
      const frame = entry.type === 'file' ? entry.runs[0]?.frame : undefined
      const pack = frame && packs[frame.pack]
      if (entry.type === 'file' && frame && pack && !condemned.has(pack.packId)) {
        const { packId, salt, epoch } = pack
        places.set(entry.path, { pack: { packId, salt, epoch }, frame })
      }
    }
    for (const [path, { content }] of this.#files) {
      const place = places.get(path)
      const isSame = place?.frame.contentId === contentId(cluster.sealing, content)
      this.#files.set(path, { content, placed: isSame ? place : undefined })
    }
  }

  async #storeChanged(backupId: string): Promise<void> {
    const { cluster } = this
    const changed = [...this.#files].filter(([, { placed }]) => placed === undefined)
    if (changed.length === 0) return
    const packId = packIdPrefix(backupId) + randomBytes(12).toString('hex')
    await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, {
      key: packKey(packId),
      kind: 'pack',
    })
    const salt = Buffer.from(writer.salt).toString('base64url')
    const pack = { packId, salt, epoch: cluster.sealing.epoch }
    const stored: [string, StoredFile][] = []
    for (const [path, { content }] of changed) {
      const frameId = contentId(cluster.sealing, content)
      const location = await writer.writeFrame(content, { contentId: frameId })
      stored.push([path, { content, placed: { pack, frame: { ...location, contentId: frameId } } }])
    }
    await writer.commit({ backupId })
    for (const [path, file] of stored) this.#files.set(path, file)
  }

  async #writeManifest(
    backupId: string,
    times: { readonly startLsn: string; readonly stopLsn: string; readonly at: string },
  ): Promise<void> {
    const { cluster } = this
    await using writer = await ManifestWriter.open(cluster, backupId)
    const numbers = new Map<string, number>()
    let totalBytes = 0
    for (const [path, { content, placed }] of this.#files) {
      assert(placed, 'every file is stored')
      const { pack, frame } = placed
      let number = numbers.get(pack.packId)
      if (number === undefined) {
        number = numbers.size
        numbers.set(pack.packId, number)
        await writer.add({ type: 'pack', ...pack })
      }
      const run = {
        offsetBytes: 0,
        lengthBytes: content.length,
        frameOffsetBytes: 0,
        frame: { ...frame, pack: number },
      }
      const entry: FileEntry = {
        ...{ type: 'file', path, sizeBytes: content.length, mode: 0o600, modifiedMs: 0, runs: [run] },
      }
      totalBytes += content.length
      await writer.add(entry)
    }
    const { facts } = cluster
    const { startLsn, stopLsn, at } = times
    await writer.commit({
      ...{ backupId, type: 'full', cluster: facts.name, systemIdentifier: facts.systemIdentifier },
      ...{ serverVersionNum: facts.serverVersionNum, blockSizeBytes: facts.blockSizeBytes, dataChecksums: false },
      ...{ walSegmentSizeBytes: facts.walSegmentSizeBytes, timeline: 1, startLsn, stopTimeline: 1, stopLsn },
      ...{ startedAt: at, stoppedAt: at, tablespaces: [], fileCount: this.#files.size, totalBytes, storedBytes: 0 },
      ...{ packCount: numbers.size, tornBlockCount: 0, corruptBlockCount: 0, retakeVersion: '0.1.0' },
    })
  }
}

/** The content of every file of a backup, read as a restore reads it. */
export async function readContents(cluster: ClusterRepository, backupId: string): Promise<Map<string, Buffer>> {
  const packs: PackEntry[] = []
  const files = new Map<string, Buffer>()
  for await (const entry of readEntries(cluster, backupId)) {
    if (entry.type === 'pack') packs.push(entry)
    if (entry.type !== 'file') continue
    const parts: Buffer[] = []
    for (const { frame, frameOffsetBytes, lengthBytes } of entry.runs) {
      const packId = frame && packs[frame.pack]?.packId
      if (!frame || packId === undefined) throw new Error(`${entry.path} has a run without a frame`)
      const pack = await openContainer(cluster.store, cluster.sealing, { key: packKey(packId), kind: 'pack' })
      if (!pack) throw new Error(`pack ${packId} of ${entry.path} is missing`)
      const plain = await pack.readFrame(frame.index)
      parts.push(Buffer.from(plain.subarray(frameOffsetBytes, frameOffsetBytes + lengthBytes)))
    }
    files.set(entry.path, Buffer.concat(parts))
  }
  return files
}
