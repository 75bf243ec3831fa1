/**
 * The list of a backup's files as the server makes it of what it sends, for a backup that was read from the files themselves: the
 * server is told with it what an increment builds upon. https://www.postgresql.org/docs/current/backup-manifest-format.html
 */
import { createHash } from 'node:crypto'
import { isRelationFile } from '../../postgres/relation-path.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import { readEntries } from '../../repository/manifest-store.ts'

/**
 * Only what the server looks at: which relation files there were, and which log their state belongs to. All else is sent whole.
 * @throws RetakeError `repo.damaged`
 */
export async function* composeServerManifest(
  cluster: ClusterRepository,
  backup: BackupSummary,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  const hashed = (text: string) => {
    const bytes = Buffer.from(text, 'utf8')
    hash.update(bytes)
    return bytes
  }
  yield hashed(
    `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${backup.systemIdentifier},\n"Files": [\n`,
  )
  let separator = ''
  for await (const entry of readEntries(cluster, backup.backupId)) {
    if (entry.type !== 'file' || !isRelationFile(entry.path)) continue
    yield hashed(`${separator}{ "Path": ${JSON.stringify(entry.path)}, "Size": ${entry.sizeBytes} }`)
    separator = ',\n'
  }
  const { timeline, startLsn, stopLsn } = backup
  const range = `{ "Timeline": ${timeline}, "Start-LSN": "${startLsn}", "End-LSN": "${stopLsn}" }`
  yield hashed(`\n],\n"WAL-Ranges": [\n${range}\n],\n`)
  yield Buffer.from(`"Manifest-Checksum": "${hash.digest('hex')}"}\n`)
}
