/**
 * The server's own way to what changed (PostgreSQL 17 and later, `summarize_wal`): it is told its parent by the manifest that it made
 * then, or by one that is made of ours, and sends only blocks that the log touched since. Where it refuses, pages are judged by their LSNs.
 */
import { isRetakeError } from '../../base/errors.ts'
import type { ReplicationConnection } from '../../postgres/replication/connection.ts'
import { uploadManifest } from '../../postgres/replication/upload-manifest.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { Basis } from './basis.ts'
import { composeServerManifest } from './composed-manifest.ts'
import { readHeldFile } from './held-file.ts'
import type { ReadServerFile } from './increment-intake.ts'
import type { ServerSettings } from './preflight.ts'
import type { ServerLine } from './server-line.ts'
import { Spool } from './spool.ts'

/** The server's own list of its files, kept with each backup that it sent. */
export const SERVER_MANIFEST_PATH = 'backup_manifest'

/** A region of a file lies in so many more pieces than in a full backup: reading all pages once puts them together again. */
const MAX_FRAGMENTATION = 4

const UPLOAD_BYTES = 256 * 1024

export interface SummariesContext {
  readonly cluster: ClusterRepository
  readonly replication: ReplicationConnection
  readonly settings: ServerSettings
  readonly basis: Basis
  readonly signal: AbortSignal
}

/** Whether the server has summaries at all, so that it is worth a word when they cannot be used. */
export function hasSummaries({ serverVersionNum, summarizesWal }: ServerSettings): boolean {
  return serverVersionNum >= 170_000 && summarizesWal
}

/**
 * Tells the server what the next base backup on this connection builds upon.
 * @returns why that is not possible: a sentence; undefined when it was done
 */
export async function uploadParent(context: SummariesContext): Promise<string | undefined> {
  const { cluster, replication, settings, basis, signal } = context
  const { parent } = basis
  if (parent === undefined) return 'there is no parent'
  const manifest = basis.view.file(SERVER_MANIFEST_PATH)
  if (!manifest && parent.timeline !== parent.stopTimeline) return 'the parent ended on another timeline than it began'
  if (!settings.mayReadFiles) return 'the role may not call pg_read_binary_file, which visibility maps are read with'
  if (!basis.view.isWholeUsable) return 'some of what the parent holds is about to be deleted'
  const { runCount, leastRunCount } = basis.fragmentation ?? { runCount: 0, leastRunCount: 0 }
  if (runCount > MAX_FRAGMENTATION * leastRunCount)
    return 'the parent lies in many pieces, which this backup puts together'
  try {
    using spool = new Spool()
    // Read to its end first: an upload that stops in the middle costs the connection.
    const pieces = manifest ? readHeldFile(cluster, manifest) : composeServerManifest(cluster, parent)
    for await (const bytes of pieces) spool.append(bytes)
    await uploadManifest(replication, piecesOf(spool), { signal })
    return undefined
  } catch (error) {
    if (isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'postgres.error')) return error.message
    throw error
  }
}

async function* piecesOf(spool: Spool): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < spool.sizeBytes; at += UPLOAD_BYTES) {
    yield spool.read(at, Math.min(UPLOAD_BYTES, spool.sizeBytes - at))
  }
}

/** The server refuses with 55000 when summaries are missing, end too early, or belong to another history; nothing was sent then. */
export function refusesSummaries(error: unknown): error is Error {
  return isRetakeError(error) && error.details.sqlState === '55000'
}

/** For visibility maps. */
export function readThroughSql(line: Pick<ServerLine, 'query'>): ReadServerFile {
  return async (path, { offsetBytes, lengthBytes }) => {
    const [row] = await line.query<{ bytes: Buffer | null }>('select pg_read_binary_file($1, $2, $3, true) as bytes', [
      path,
      offsetBytes,
      lengthBytes,
    ])
    return row?.bytes ?? undefined
  }
}
