/**
 * Done-when 7: a synthetic catalog of 10,000 backups and 1,000,000 WAL segments. The manifests are real, sealed objects in a directory; the
 * WAL is the list of its names, because a million files would measure the filesystem. Prints what each step takes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { chooseBackup } from '../../src/catalog/choose-backup.ts'
import { computeCoverage, coverageOfPath, type HeldPiece } from '../../src/catalog/coverage.ts'
import { buildTimelinePath } from '../../src/catalog/timeline-path.ts'
import { recoveryWindow } from '../../src/catalog/window.ts'
import { formatLsn, type Lsn } from '../../src/postgres/lsn.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import type { BackupSummary } from '../../src/repository/manifest.ts'
import { listBackups, ManifestWriter, refreshSummaryIndex } from '../../src/repository/manifest-store.ts'
import { createRepository, openRepository } from '../../src/repository/repository.ts'
import { exampleFacts } from '../../src/repository/testing/example-repository.ts'
import { parseWalKey, segmentName } from '../../src/repository/wal-layout.ts'
import { createMemoryStore } from '../../src/storage/memory-store.ts'
import { makeTemp } from '../support/temp.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
/** What the issue promises for each step. */
export const CATALOG_LIMIT_MS = 1000

export interface CatalogOptions {
  readonly backups: number
  readonly segments: number
  readonly say: (line: string) => void
}

type Timed = <T>(
  what: string,
  work: () => T | Promise<T>,
  options?: { readonly limit?: boolean; readonly note?: string },
) => Promise<T>

/** Returns what took longer than the limit. */
export async function measureCatalog(options: CatalogOptions): Promise<string[]> {
  const { say } = options
  const problems: string[] = []
  const timed: Timed = async (what, work, { limit = true, note = '' } = {}) => {
    const before = process.cpuUsage()
    const begun = performance.now()
    const result = await work()
    const tookMs = performance.now() - begun
    const { user, system } = process.cpuUsage(before)
    // All of it is computing. Of a machine that is busy with other things, the time of the processor is what can be held to account.
    const cpuMs = Math.min(tookMs, (user + system) / 1000)
    say(`${what}${note}: ${tookMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms of it computing`)
    if (limit && cpuMs > CATALOG_LIMIT_MS)
      problems.push(`${what} took ${cpuMs.toFixed(0)} ms, more than ${CATALOG_LIMIT_MS}`)
    return result
  }
  await using temp = makeTemp({ label: 'catalog' })
  const key = generateKey()
  say(`writing ${options.backups} manifests`)
  await writeCatalog(temp.join('repository'), { key, ...options })
  await using repository = await openRepository(temp.join('repository'), key)
  const cluster = await repository.openCluster(exampleFacts.name)
  await timed(`listing ${options.backups} backups`, () => listBackups(cluster), { limit: false, note: ' one by one' })
  await timed('writing the index of summaries', () => refreshSummaryIndex(cluster), { limit: false })
  const backups = await timed(`listing ${options.backups} backups`, () => listBackups(cluster), {
    note: ' by the index',
  })
  const names = segmentKeys(cluster, options.segments)
  const pieces = await timed(`understanding the names of ${options.segments} segments`, () => piecesOf(cluster, names))
  const ranges = [{ timeline: 1, beginLsn: '0/1000000', reason: 'first-contact' as const, at: '', explanation: '' }]
  const coverage = await timed('coverage', () => computeCoverage({ pieces, ranges }, SEGMENT_BYTES))
  const path = buildTimelinePath([], 1)
  await timed('window', () =>
    recoveryWindow({ backups, coverage, histories: [], segmentSizeBytes: SEGMENT_BYTES, moments: [] }),
  )
  await timed('choosing the backup of a restore', () => {
    const held = coverageOfPath(coverage, path, { segmentSizeBytes: SEGMENT_BYTES })
    return chooseBackup(backups, { path, coverage: held, targetLsn: lsnOf(options, options.backups - 3) })
  })
  return problems
}

/** Backups lie evenly over the WAL. */
function lsnOf({ backups, segments }: CatalogOptions, index: number): Lsn {
  return (BigInt(Math.floor((segments / (backups + 1)) * (index + 1))) * BigInt(SEGMENT_BYTES)) as Lsn
}

/** Written to memory and then to files at once: making each durable would take minutes and is measured elsewhere. */
async function writeCatalog(
  directory: string,
  options: CatalogOptions & { readonly key: ReturnType<typeof generateKey> },
): Promise<void> {
  const store = createMemoryStore()
  await using repository = await createRepository(store, options.key)
  const cluster = await repository.registerCluster({ ...exampleFacts, walSegmentSizeBytes: SEGMENT_BYTES })
  for (let index = 0; index < options.backups; index += 1) {
    const summary = summaryOf(options, index)
    await using writer = await ManifestWriter.open(cluster, summary.backupId)
    await writer.commit(summary)
  }
  for await (const { key } of store.list('')) {
    const file = `${directory}/${key}`
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, (await store.get(key)) ?? '')
  }
}

function summaryOf(options: CatalogOptions, index: number): BackupSummary {
  const at = new Date(Date.UTC(2020, 0, 1) + index * 3_600_000)
  const startLsn = lsnOf(options, index)
  const { name, systemIdentifier, serverVersionNum, blockSizeBytes } = exampleFacts
  return {
    backupId: `${at.toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${index.toString(16).padStart(8, '0')}`,
    type: 'full',
    cluster: name,
    systemIdentifier,
    serverVersionNum,
    blockSizeBytes,
    walSegmentSizeBytes: SEGMENT_BYTES,
    dataChecksums: true,
    timeline: 1,
    startLsn: formatLsn(startLsn),
    stopTimeline: 1,
    stopLsn: formatLsn((startLsn + 4096n) as Lsn),
    startedAt: at.toISOString(),
    stoppedAt: new Date(at.getTime() + 60_000).toISOString(),
    tablespaces: [],
    fileCount: 0,
    totalBytes: 0,
    storedBytes: 0,
    packCount: 0,
    tornBlockCount: 0,
    corruptBlockCount: 0,
    retakeVersion: '0.1.0',
  }
}

function segmentKeys(cluster: ClusterRepository, count: number): string[] {
  const id = { timeline: 1, partial: false }
  return Array.from(
    { length: count },
    (_, index) => segmentName(cluster.facts.name, { ...id, segment: BigInt(index + 1) }).key,
  )
}

function piecesOf(cluster: ClusterRepository, keys: readonly string[]): HeldPiece[] {
  const pieces: HeldPiece[] = []
  for (const key of keys) {
    const parsed = parseWalKey(cluster.facts.name, key)
    if (parsed?.type === 'segment')
      pieces.push({ timeline: parsed.timeline, segment: parsed.segment, validBytes: SEGMENT_BYTES })
  }
  return pieces
}
