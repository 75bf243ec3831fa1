/**
 * Done-when 7: a synthetic catalog of 10,000 backups and 1,000,000 WAL segments. The manifests are real, sealed objects in a directory; the
 * WAL is the list of its names, because a million files would measure the filesystem. Prints what each step takes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { chooseBackup } from '../../src/catalog/choose-backup.ts'
import { computeCoverage, coverageOfPath } from '../../src/catalog/coverage.ts'
import { planRetention } from '../../src/catalog/retention/plan.ts'
import { DEFAULT_RETENTION_DAYS, type RetentionPolicy } from '../../src/catalog/retention/policy.ts'
import { selectWal } from '../../src/catalog/retention/wal-objects.ts'
import { buildTimelinePath } from '../../src/catalog/timeline-path.ts'
import { recoveryWindow } from '../../src/catalog/window.ts'
import { formatLsn, type Lsn, parseLsn } from '../../src/postgres/lsn.ts'
import { type HeldArchive, readHeldArchive } from '../../src/recovery/held-archive.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import type { BackupSummary } from '../../src/repository/manifest.ts'
import { listBackups, ManifestWriter, refreshSummaryIndex } from '../../src/repository/manifest-store.ts'
import { createRepository, openRepository } from '../../src/repository/repository.ts'
import { runsOutside } from '../../src/repository/segment-runs.ts'
import { SegmentSet } from '../../src/repository/segment-set.ts'
import { exampleFacts } from '../../src/repository/testing/example-repository.ts'
import { segmentName, walPrefix } from '../../src/repository/wal-layout.ts'
import { createMemoryStore } from '../../src/storage/memory-store.ts'
import type { ListOptions, ObjectInfo, ObjectStore } from '../../src/storage/object-store.ts'
import { makeTemp } from '../support/temp.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
/** What the issue promises for each step. */
export const CATALOG_LIMIT_MS = 1000

export interface CatalogOptions {
  readonly backups: number
  readonly segments: number
  readonly say: (line: string) => void
}

/** Returns what took longer than the limit. */
export async function measureCatalog(options: CatalogOptions): Promise<string[]> {
  const { say } = options
  await using temp = makeTemp({ label: 'catalog' })
  const key = generateKey()
  say(`writing ${options.backups} manifests`)
  await writeCatalog(temp.join('repository'), { key, ...options })
  await using repository = await openRepository(temp.join('repository'), key)
  const opened = await repository.openCluster(exampleFacts.name)
  const cluster = { ...opened, store: withSegments(opened, options.segments) }
  const watch = new Watch(say)
  await watch.step(`listing ${options.backups} backups one by one`, () => listBackups(cluster))
  await watch.step('writing the index of summaries', () => refreshSummaryIndex(cluster))
  const backups = await watch.goal(`listing ${options.backups} backups`, () => listBackups(cluster))
  const archive = await watch.goal(`listing ${options.segments} segments`, () => readHeldArchive(cluster))
  const catalog = { backups, archive }
  await planEverything(catalog, { ...options, watch })
  // A year of backups, of which all but the last week restore only to their own ends: ten thousand islands of WAL.
  const thinned = await planEverything(catalog, { ...options, watch, policy: { days: 3650, walDays: 7 } })
  await planEverything(thinned, { ...options, watch, policy: { days: 7, daily: 365, walDays: 7 } })
  return watch.problems
}

interface Catalog {
  readonly backups: readonly BackupSummary[]
  readonly archive: Pick<HeldArchive, 'inventory' | 'coverage'>
}

/** Plans a restore and a pruning; returns the catalog as it would be after the pruning. */
async function planEverything(
  { backups, archive }: Catalog,
  options: CatalogOptions & { readonly watch: Watch; readonly policy?: RetentionPolicy },
): Promise<Catalog> {
  const { watch, policy = { days: DEFAULT_RETENTION_DAYS } } = options
  const { inventory, coverage } = archive
  const size = { segmentSizeBytes: SEGMENT_BYTES }
  const islands = coverage.reduce((sum, { ranges }) => sum + ranges.length, 0)
  options.say(`${backups.length} backups, WAL in ${islands} stretches; policy ${JSON.stringify(policy)}`)
  const window = { backups, coverage, histories: [], moments: [], ...size }
  await watch.goal('planning a restore', async () => {
    const path = buildTimelinePath([], 1)
    await watch.step('window', () => recoveryWindow(window))
    await watch.step('choosing the backup', () => {
      const held = coverageOfPath(coverage, path, size)
      const target = backups[backups.length - 3] as BackupSummary
      return chooseBackup(backups, { path, coverage: held, targetLsn: parseLsn(target.stopLsn) })
    })
  })
  return await watch.goal('planning retention', async () => {
    const plan = await watch.step('deciding', () =>
      planRetention({
        ...{ ...window, policy, ranges: inventory.ranges, positionTimeline: 1, holds: [], stored: inventory },
        verified: new Set([backups[0]?.backupId ?? '']),
        now: new Date(Date.parse(backups.at(-1)?.stoppedAt ?? '') + 60_000),
        shares: backups.map(({ backupId }) => ({ bytes: 1, users: [backupId] })),
      }),
    )
    const selection = await watch.step('choosing the WAL', () =>
      selectWal(inventory, { decisions: plan.wal, cluster: exampleFacts.name, ...size, at: plan.now }),
    )
    const runs = runsOutside(inventory.runs, new SegmentSet(selection.segments))
    const ranges = [...inventory.ranges, ...selection.newRanges]
    const kept = new Set(plan.backups.filter(({ action }) => action === 'keep').map(({ backupId }) => backupId))
    const after = await watch.step('coverage after it', () =>
      computeCoverage({ runs, pieces: [], ranges }, SEGMENT_BYTES),
    )
    return {
      backups: backups.filter(({ backupId }) => kept.has(backupId)),
      archive: { inventory: { ...inventory, runs, ranges }, coverage: after },
    }
  })
}

/**
 * Takes the time of what is to be quick. All of it is computing, and of a machine that is busy with other things the time of the processor
 * is what can be held to account.
 */
class Watch {
  readonly problems: string[] = []
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  async step<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    const { result, spent } = await this.#time(work)
    this.#say(`  ${what}: ${spent}`)
    return result
  }

  async goal<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { result, cpuMs, spent } = await this.#time(work)
    this.#say(`${what}: ${spent}; the goal is ${CATALOG_LIMIT_MS} ms`)
    if (cpuMs > CATALOG_LIMIT_MS)
      this.problems.push(`${what} took ${cpuMs.toFixed(0)} ms of computing, more than ${CATALOG_LIMIT_MS}`)
    return result
  }

  async #time<T>(work: () => T | Promise<T>) {
    const before = process.cpuUsage()
    const begun = performance.now()
    const result = await work()
    const tookMs = performance.now() - begun
    const { user, system } = process.cpuUsage(before)
    // Other threads of the process collect garbage at the same time; what they spend nobody waits for.
    const cpuMs = Math.min(tookMs, (user + system) / 1000)
    return { result, cpuMs, spent: `${tookMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms of it computing` }
  }
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

/** The cluster's store, which also lists so many segments: a million files would measure the filesystem. */
function withSegments({ store, facts }: ClusterRepository, count: number): ObjectStore {
  const id = { timeline: 1, partial: false }
  const objects = Array.from({ length: count }, (_, index) => ({
    key: segmentName(facts.name, { ...id, segment: BigInt(index + 1) }).key,
    sizeBytes: 1_000_000 + (index % 1000),
  }))
  async function* list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { startAfter = '' } = options
    if (prefix === walPrefix(facts.name) && startAfter < (objects.at(-1)?.key ?? ''))
      for (const object of objects) if (object.key > startAfter) yield object
    yield* store.list(prefix, options)
  }
  return new Proxy(store, {
    get(target, property) {
      if (property === 'list') return list
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
