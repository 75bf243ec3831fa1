/**
 * UPLOAD_MANIFEST (PostgreSQL 17 and later): tells the server which backup an incremental one, taken next on the same connection,
 * builds upon. https://www.postgresql.org/docs/current/protocol-replication.html
 */
import { sleep } from '../../base/abort.ts'
import type { ReplicationConnection } from './connection.ts'
import { backend, copyDataMessage, copyDoneMessage } from './messages.ts'
import { unexpected } from './wire-session.ts'

/** What may wait in the socket's own buffer. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024
const PAUSE_MS = 5

/**
 * @param manifest the server's own `backup_manifest` of that backup, byte by byte
 * @throws RetakeError `postgres.error` when the server does not accept it, `postgres.connection-lost`, `aborted`
 */
export async function uploadManifest(
  connection: ReplicationConnection,
  manifest: AsyncIterable<Uint8Array>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { wire } = connection
  using _busy = wire.occupy('UPLOAD_MANIFEST')
  using _breaker = wire.breakOn(options.signal)
  wire.command('UPLOAD_MANIFEST')
  const opening = await wire.readMessage()
  if (opening.code === backend.errorResponse) throw await wire.finishError(opening.body)
  if (opening.code !== backend.copyInResponse) throw unexpected(opening.code)
  for await (const bytes of manifest) {
    wire.send(copyDataMessage(bytes))
    while (wire.unsentBytes > MAX_UNSENT_BYTES) await sleep(PAUSE_MS, options.signal)
  }
  wire.send(copyDoneMessage())
  await wire.readResults()
}
