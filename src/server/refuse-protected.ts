/** A control database inside a cluster that it watches would be gone with it, and with it the alarm. */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ControlDatabase } from '../control/database/open.ts'
import type { ManagedCluster } from './managed-cluster.ts'

/** @throws RetakeError `config.invalid` */
export async function refuseProtected(
  control: ControlDatabase,
  clusters: Iterable<ManagedCluster>,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  if (control.kind === 'own' || control.systemIdentifier === undefined) return
  for (const cluster of clusters) {
    if ((await systemIdentifierOf(cluster)) !== control.systemIdentifier) continue
    throw new RetakeError(
      'config.invalid',
      `The control database of DATABASE_URL is inside the cluster "${cluster.name}", which it is to watch: when that is gone, nobody would notice.`,
      { hint: "Leave DATABASE_URL out for a database of the server's own, or name one on another PostgreSQL." },
    )
  }
  signal.throwIfAborted()
}

/** What the repository holds; undefined: it cannot be asked just now, which the checks will say. */
async function systemIdentifierOf(cluster: ManagedCluster): Promise<string | undefined> {
  try {
    const retake = await cluster.open()
    return (await retake.cluster()).facts.systemIdentifier
  } catch (error) {
    if (isRetakeError(error)) return undefined
    throw error
  }
}
