/** Whose a spool is: it belongs to one cluster of one repository (L5). */
import { readdir } from 'node:fs/promises'
import { RetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { DirectoryStore } from '../../storage/directory-store.ts'
import { STAGING } from '../../storage/staging.ts'

const MARKER = 'spool.json'

interface Marker {
  readonly spoolVersion: 1
  readonly repositoryId: string
  readonly cluster: string
  readonly systemIdentifier: string
}

/**
 * Makes the mark where there is none yet.
 * @throws RetakeError `cluster.foreign` for the spool of another repository or cluster, `config.invalid` for a directory of something else
 */
export async function assertOurs(store: DirectoryStore, cluster: ClusterRepository): Promise<void> {
  if ((await judgeMarker(store, cluster)) === 'ours') return
  const { name, systemIdentifier } = cluster.facts
  const own: Marker = { spoolVersion: 1, repositoryId: cluster.sealing.repositoryId, cluster: name, systemIdentifier }
  if (await store.create(MARKER, Buffer.from(JSON.stringify(own)))) return
  await assertOurs(store, cluster)
}

/** @throws RetakeError as {@link assertOurs}; changes nothing */
export async function judgeMarker(store: DirectoryStore, cluster: ClusterRepository): Promise<'ours' | 'empty'> {
  const { name, systemIdentifier } = cluster.facts
  const { repositoryId } = cluster.sealing
  const stored = await store.get(MARKER)
  if (stored === undefined) {
    const entries = (await readdir(store.root)).filter((entry) => entry !== STAGING)
    if (entries.length > 0) throw notASpool(store.root)
    return 'empty'
  }
  const marker = parseMarker(stored)
  if (marker === undefined) throw notASpool(store.root)
  if (marker.repositoryId === repositoryId && marker.cluster === name && marker.systemIdentifier === systemIdentifier)
    return 'ours'
  throw new RetakeError(
    'cluster.foreign',
    `The spool ${store.root} belongs to the cluster "${marker.cluster}" (system identifier ${marker.systemIdentifier}) of the repository ${marker.repositoryId}.`,
    {
      hint: 'Each receiver needs a spool of its own: name another directory with --spool. What is in this one was acknowledged and may not be in its repository yet.',
      details: { spool: store.root, cluster: marker.cluster, repositoryId: marker.repositoryId },
    },
  )
}

function parseMarker(bytes: Uint8Array): Marker | undefined {
  try {
    const marker: Partial<Marker> | null = JSON.parse(Buffer.from(bytes).toString('utf8'))
    const texts = [marker?.repositoryId, marker?.cluster, marker?.systemIdentifier]
    return marker?.spoolVersion === 1 && texts.every((text) => typeof text === 'string')
      ? (marker as Marker)
      : undefined
  } catch {
    return undefined
  }
}

function notASpool(directory: string): RetakeError {
  return new RetakeError('config.invalid', `${directory} is not empty, and is no spool of a receiver.`, {
    hint: 'Name a directory with --spool that is empty or does not exist yet.',
    details: { spool: directory },
  })
}
