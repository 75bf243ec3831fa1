/** How the files of a server are read: here, where they lie, or through its replication protocol. */
import { RetakeError } from '../../base/errors.ts'
import { findLocalCluster, type LocalCluster } from './direct/local-cluster.ts'
import type { ServerLine } from './server-line.ts'

export type Way =
  | { readonly via: 'files'; readonly local: LocalCluster }
  /** `reason`: why not by its files; absent when replication was asked for. */
  | { readonly via: 'replication'; readonly reason?: string | undefined }

/**
 * Files where they can be read and are proven to be the server's: that spares the server's process and the socket, and several
 * threads read at once. Else replication.
 * @throws RetakeError `backup.refused` when files were asked for and cannot be used
 */
export async function chooseWay(
  line: Pick<ServerLine, 'query'>,
  options: { readonly via?: 'replication' | 'files' | undefined },
): Promise<Way> {
  if (options.via === 'replication') return { via: 'replication' }
  const finding = await findLocalCluster(line)
  if (finding.kind === 'found') return { via: 'files', local: finding.cluster }
  if (options.via === undefined) return { via: 'replication', reason: finding.reason }
  throw new RetakeError('backup.refused', `The server's files cannot be read directly. ${finding.reason}`, {
    hint: 'Run as the user of the server on its machine, or: retake backup --via replication',
  })
}
