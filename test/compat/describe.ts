/** What a repository gives back, as data: the content of every backup after a restore, and of all WAL. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { applyRestore } from '../../src/recovery/apply.ts'
import { planRestore } from '../../src/recovery/plan.ts'
import { openSegment, padded } from '../../src/recovery/segment-content.ts'
import { MARKER } from '../../src/recovery/target-directory.ts'
import { parseTarget } from '../../src/recovery/targets.ts'
import type { ClusterRepository } from '../../src/repository/cluster.ts'
import { listDrills } from '../../src/repository/drills.ts'
import { listBackups } from '../../src/repository/manifest-store.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { listSegments } from '../../src/repository/testing/segments.ts'
import { readWalInventory } from '../../src/repository/wal-archive.ts'
import { readHistory } from '../../src/repository/wal-records.ts'
import { readTree } from '../support/file-tree.ts'

/** Changed only by additions: what a fixture says must stay true for ever. */
export interface ClusterContent {
  readonly cluster: string
  readonly backups: readonly {
    readonly backupId: string
    readonly type: string
    readonly label?: string | undefined
    readonly startLsn: string
    readonly stopLsn: string
    /** Kind, mode, length and digest of everything that a restore lays out, by path. */
    readonly files: Readonly<Record<string, string>>
  }[]
  /** SHA-256 of each segment as it is served to PostgreSQL, by timeline and number. */
  readonly segments: Readonly<Record<string, string>>
  /** SHA-256 of each timeline's history file. */
  readonly histories: Readonly<Record<string, string>>
  /** How each drill ended. */
  readonly drills?: Readonly<Record<string, string>>
}

export async function describeContent(repository: Repository, directory: string): Promise<ClusterContent[]> {
  const contents: ClusterContent[] = []
  for (const name of await repository.listClusters()) {
    contents.push(await describeCluster(await repository.openCluster(name), join(directory, name)))
  }
  return contents
}

async function describeCluster(cluster: ClusterRepository, directory: string): Promise<ClusterContent> {
  const backups: ClusterContent['backups'][number][] = []
  for (const { backupId, type, label, startLsn, stopLsn } of await listBackups(cluster)) {
    const files = await restoredFiles(cluster, { backupId, stopLsn }, join(directory, backupId))
    backups.push({ backupId, type, ...(label === undefined ? {} : { label }), startLsn, stopLsn, files })
  }
  const inventory = await readWalInventory(cluster)
  const places = new Map(
    [...listSegments(inventory), ...inventory.tails].map(({ timeline, segment }) => [
      `${timeline}/${segment}`,
      { timeline, segment },
    ]),
  )
  const segments: Record<string, string> = {}
  for (const [name, place] of places) {
    const content = await openSegment(cluster, place)
    if (content) segments[name] = await digest(padded(content, cluster.facts.walSegmentSizeBytes))
  }
  const histories: Record<string, string> = {}
  for (const { timeline } of inventory.histories) {
    const bytes = await readHistory(cluster, timeline)
    if (bytes) histories[String(timeline)] = await digest([bytes])
  }
  const drills: Record<string, string> = {}
  for await (const { id, outcome } of listDrills(cluster)) drills[id] = outcome
  // Those that were made before there were drills do not say that there are none.
  const kept = Object.keys(drills).length > 0 ? { drills } : {}
  return { cluster: cluster.facts.name, backups, segments, histories, ...kept }
}

/** Without what a restore writes by itself, which names this machine and may well change. */
async function restoredFiles(
  cluster: ClusterRepository,
  { backupId, stopLsn }: { readonly backupId: string; readonly stopLsn: string },
  directory: string,
): Promise<Record<string, string>> {
  const plan = await planRestore({
    cluster,
    // Its own end: of the log after a backup that is held, pruning keeps nothing.
    target: parseTarget(`lsn:${stopLsn}`),
    backupId,
    targetDirectory: directory,
    start: false,
  })
  await applyRestore({ cluster, plan, workers: 0 })
  const own = new Set([MARKER, 'postgresql.auto.conf', 'recovery.signal'])
  return Object.fromEntries([...readTree(directory)].filter(([path]) => !own.has(path)).sort())
}

async function digest(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}
