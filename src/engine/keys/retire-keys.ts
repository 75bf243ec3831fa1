import { currentProcess } from '../../base/process-identity.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { type EpochRetirement, retireEpochs } from '../../repository/retire-epoch.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { SET_ASIDE } from '../../sources/physical/local-spool.ts'
import { readSpoolEpochs } from '../../sources/physical/look-at-spool.ts'
import { type Retake, spoolDirectory } from '../open.ts'
import { readReceiver } from '../receiver-state.ts'
import { currentActor } from './actor.ts'

export interface RetireKeysOptions {
  /** Between the announcement and the destruction of a key. Default 7 days. */
  readonly graceMs?: number | undefined
  readonly dryRun?: boolean | undefined
  /** The spool of a receiver on this machine. Default: the configured one. */
  readonly spoolDirectory?: string | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Destroys the data keys of the cluster that seal nothing any more, in two phases: announced by one call, destroyed by one after the
 * time of grace. A key that still seals something stays, with the reason; so does one that a spool may need, whose WAL was acknowledged.
 * @throws RetakeError `repo.locked` while pruning or re-encryption runs, `repo.damaged` when a manifest cannot be read
 */
export async function retireKeys(retake: Retake, options: RetireKeysOptions = {}): Promise<EpochRetirement[]> {
  const { repository, clock } = retake
  const cluster = await retake.cluster()
  const neededElsewhere = await neededBySpools(retake, options.spoolDirectory ?? spoolDirectory(retake))
  return await retireEpochs(repository, cluster, {
    ...options,
    by: options.by ?? currentActor(),
    clock,
    neededElsewhere,
  })
}

/** What lies in a spool was acknowledged: without its key it is lost. */
async function neededBySpools(
  retake: Retake,
  directory: string | undefined,
): Promise<(epoch: number) => string | undefined> {
  const cluster = await retake.cluster()
  const sealed = directory === undefined ? undefined : await readSpoolEpochs(directory, cluster)
  const elsewhere = await unseenSpool(retake, directory)
  return (epoch) => {
    const state = sealed?.get(epoch)
    if (state === 'spooled')
      return `the spool ${directory} holds WAL that it seals; start the receiver once, which empties it: \`retake wal receive --acknowledge local --spool ${directory} --until-caught-up\``
    if (state === 'set-aside')
      return `${directory}/${SET_ASIDE} holds WAL that it seals and that has no place in the repository; take it away when it is not needed any more`
    return elsewhere
  }
}

/** While a receiver runs, its own spool was uploaded before it began, and its lease says which key it uses. */
async function unseenSpool(
  { clusterName, clock, ...retake }: Retake,
  directory: string | undefined,
): Promise<string | undefined> {
  const cluster = await retake.cluster()
  const position = await readPosition(cluster)
  if (position?.spool === undefined || (await readReceiver(cluster, clock))) return undefined
  const { host, acknowledgedLsn } = position.spool
  const isSeen = directory !== undefined && host === currentProcess().host
  if (isSeen || parseLsn(acknowledgedLsn) <= parseLsn(position.flushLsn)) return undefined
  return `a spool on ${host} may hold WAL of "${clusterName}" that it seals: WAL was acknowledged there up to ${acknowledgedLsn}, and the repository holds it up to ${position.flushLsn}; start the receiver there once`
}
