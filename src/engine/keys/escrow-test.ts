/** Whether the page in the safe really restores: the repository opened with its URL and that page alone, and read back. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RetakeError, toRetakeError } from '../../base/errors.ts'
import { formatLsn, segmentStart } from '../../postgres/lsn.ts'
import { sampleBackup } from '../../recovery/sample-backup.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { damaged } from '../../repository/container.ts'
import { createContentHasher } from '../../repository/content-hash.ts'
import { isShredded } from '../../repository/epochs.ts'
import { parseKeyText } from '../../repository/keys/key-text.ts'
import { type KitProof, type ProvenCluster, putKitProof } from '../../repository/keys/kit-proof.ts'
import { listBackupIds } from '../../repository/manifest-store.ts'
import { openRepository, type Repository } from '../../repository/repository.ts'
import { readSettledTail } from '../../repository/settled-tail.ts'
import { readWalInventory, type WalInventory } from '../../repository/wal-archive.ts'
import { segmentName } from '../../repository/wal-layout.ts'
import { openSegment, readSegment } from '../../repository/wal-segments.ts'
import { assembleRetake, type RetakeOptions, repositoryUrl, retakeSettings } from '../open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from '../operation.ts'
import { applyRestore, planRestore } from '../restore.ts'
import { currentActor } from './actor.ts'

export interface EscrowTestOptions extends OperationOptions {
  /** The text of the recovery kit, or of any key. Secret. */
  readonly kit: string
  /** Frames of each newest backup that are read, chosen at random. Default 64. */
  readonly frames?: number | undefined
  /** Restore every file of the newest backup of the configured cluster into a directory that is then removed. Default false. */
  readonly full?: boolean | undefined
  /** Where that directory is made; it needs the space of the cluster. Default: the system's for temporary files. */
  readonly directory?: string | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
}

export interface EscrowReport extends KitProof {
  readonly repository: string
  readonly kind: string
  readonly label: string
  /** False when the repository could not be written to; `recordError` says why. */
  readonly recorded: boolean
  readonly recordError?: string | undefined
}

const DEFAULT_FRAMES = 64

/**
 * Opens the repository with nothing but its URL and the kit, and reads back what a restore would need: the newest manifest of
 * every cluster to its end, frames of it at random, and the newest WAL. No other key of the configuration is used.
 * What was proven is recorded in the repository.
 * @throws RetakeError by its `result`: `key.wrong`, `key.malformed`, `repo.damaged`, `backup.missing` when there is nothing to read
 */
export function escrowTest(options: RetakeOptions, test: EscrowTestOptions): Operation<EscrowReport> {
  return startOperation(async (context) => {
    const settings = retakeSettings(options)
    await using repository = await openRepository(repositoryUrl(settings), parseKeyText(test.kit), {
      clock: settings.clock,
    })
    const holder = (await repository.listHolders()).find((one) => one.holder === repository.openedBy)
    const clusters: ProvenCluster[] = []
    for (const name of await repository.listClusters()) {
      if (await isShredded(repository.store, name)) continue
      const cluster = await repository.openCluster(name)
      const proven = await proveCluster(cluster, { ...test, ...context })
      if (proven) clusters.push(proven)
    }
    if (clusters.length === 0) throw nothingToProve(repository.url)
    if (test.full) {
      const full = await restoreAll(repository, { ...options, ...context, test })
      clusters.splice(
        0,
        clusters.length,
        ...clusters.map((one) => (one.cluster === full.cluster ? { ...one, ...full } : one)),
      )
    }
    const proof: KitProof = {
      holder: repository.openedBy,
      provenAt: settings.clock.now().toISOString(),
      by: test.by ?? currentActor(),
      depth: test.full ? 'full' : 'sample',
      clusters,
    }
    const recordError = await record(repository, proof)
    return {
      ...proof,
      repository: repository.url,
      kind: holder?.kind ?? 'key',
      label: holder?.label ?? '',
      recorded: recordError === undefined,
      ...(recordError ? { recordError: recordError.message } : {}),
    }
  }, test)
}

type TestContext = Pick<EscrowTestOptions, 'frames'> & OperationContext

/** @returns undefined when the cluster holds neither a backup nor WAL */
async function proveCluster(cluster: ClusterRepository, context: TestContext): Promise<ProvenCluster | undefined> {
  const backupId = (await listBackupIds(cluster)).at(-1)
  const sampled =
    backupId === undefined
      ? undefined
      : await sampleBackup(cluster, { ...context, backupId, frames: context.frames ?? DEFAULT_FRAMES })
  const walUntilLsn = await proveNewestWal(cluster, context)
  if (sampled === undefined && walUntilLsn === undefined) return undefined
  return {
    cluster: cluster.facts.name,
    ...(backupId === undefined ? {} : { backupId }),
    frames: sampled?.frames ?? 0,
    bytes: sampled?.bytes ?? 0,
    ...(walUntilLsn === undefined ? {} : { walUntilLsn }),
  }
}

/** The newest finished segment and the open one behind it, every byte. Returns where that ends. */
async function proveNewestWal(cluster: ClusterRepository, context: TestContext): Promise<string | undefined> {
  const { walSegmentSizeBytes } = cluster.facts
  const inventory = await readWalInventory(cluster)
  const { tails } = inventory
  const segment = newestSegment(inventory, walSegmentSizeBytes)
  const tail = tails.at(-1)
  let until: bigint | undefined
  if (segment) {
    context.onProgress({ phase: 'wal', done: 0, total: 1, unit: 'segments' })
    await proveSegment(cluster, segment)
    until = segmentStart(segment.segment, walSegmentSizeBytes) + BigInt(segment.validBytes)
  }
  if (tail) {
    const settled = await readSettledTail(cluster, tail, async ({ bytes, validBytes }) => {
      for await (const _ of bytes);
      return validBytes
    })
    const validBytes = settled?.kind === 'tail' ? settled.value : settled?.validBytes
    const end = segmentStart(tail.segment, walSegmentSizeBytes) + BigInt(validBytes ?? 0)
    if (until === undefined || end > until) until = end
  }
  return until === undefined ? undefined : formatLsn(until as Parameters<typeof formatLsn>[0])
}

/** The last one of the newest timeline; a partial one comes after the whole one of the same number. */
function newestSegment({ runs, partials }: WalInventory, segmentSizeBytes: number) {
  const run = runs.at(-1)
  const partial = partials.at(-1)
  if (partial && (!run || partial.timeline > run.timeline)) return { ...partial, partial: true }
  if (partial && partial.timeline === run?.timeline && partial.segment >= run.last) return { ...partial, partial: true }
  return run && { timeline: run.timeline, segment: run.last, partial: false, validBytes: segmentSizeBytes }
}

async function proveSegment(
  cluster: ClusterRepository,
  id: { readonly timeline: number; readonly segment: bigint; readonly partial: boolean },
): Promise<void> {
  const opened = await openSegment(cluster, id)
  const name = segmentName(cluster.facts.name, id)
  if (opened === undefined) throw damaged(name, 'it was removed while it was read')
  const hasher = createContentHasher(cluster.sealing.contentKey)
  for await (const piece of readSegment(cluster, id)) hasher.update(piece)
  if (hasher.digest() !== opened.meta.contentId) throw damaged(name, 'it has another content than its id says')
}

/** Every file of the newest backup, and the WAL that makes it whole, laid out in a directory that is removed at the end. */
async function restoreAll(
  repository: Repository,
  options: RetakeOptions & OperationContext & { readonly test: EscrowTestOptions },
): Promise<{ readonly cluster: string; readonly bytes: number }> {
  const { test, signal, onProgress } = options
  const retake = assembleRetake(retakeSettings(options), repository)
  const directory = await mkdtemp(join(test.directory ?? tmpdir(), 'retake-escrow-test-'))
  try {
    // The account of the server must get through to what is restored, which is for it alone.
    await chmod(directory, 0o711)
    const plan = await planRestore(retake, { at: 'latest', to: join(directory, 'data'), start: false, signal })
    const report = await applyRestore(retake, plan, { signal, onProgress }).result
    return { cluster: retake.clusterName, bytes: report.files.writtenBytes }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function record(repository: Repository, proof: KitProof): Promise<RetakeError | undefined> {
  try {
    await putKitProof(repository, proof)
    return undefined
  } catch (error) {
    // A copy that is only read from proves as much; it cannot say so to others.
    return toRetakeError(error)
  }
}

function nothingToProve(url: string): RetakeError {
  return new RetakeError(
    'backup.missing',
    `The kit opens ${url}, but nothing is stored there that could be restored.`,
    {
      hint: 'Make a backup first: retake backup',
    },
  )
}
