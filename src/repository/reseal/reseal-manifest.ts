import { RetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { ManifestWriter, openManifest, readManifestEntries } from '../manifest-store.ts'
import type { PackPlace } from './reseal-pack.ts'

/**
 * Writes the manifest of a backup anew, sealed by the newest key and naming the packs that have taken the place of others. Every
 * frame lies in the new pack where it lay in the old one, so nothing else changes.
 *
 * The caller holds the lease `prune`, and has the replaced revision condemned afterwards.
 * @returns the revision that it replaces, or undefined when there is no such backup any more
 * @throws RetakeError `repo.damaged`, `repo.conflict`, `storage.*`
 */
export async function resealManifest(
  cluster: ClusterRepository,
  backupId: string,
  options: { readonly moved: ReadonlyMap<string, PackPlace>; readonly assertHeld: () => Promise<void> },
): Promise<{ readonly replaced: number } | undefined> {
  const manifest = await openManifest(cluster, backupId)
  if (manifest === undefined) return undefined
  const revision = manifest.revision + 1
  await using writer = await ManifestWriter.open(cluster, backupId, { revision })
  for await (const entry of readManifestEntries(manifest)) {
    const place = entry.type === 'pack' ? options.moved.get(entry.packId) : undefined
    await writer.add(place ? { type: 'pack', ...place } : entry)
  }
  await options.assertHeld()
  await writer.commit(manifest.summary)
  return { replaced: manifest.revision }
}

/** Manifests are many, and one that cannot be read is not a reason to leave the others under an old key. */
export function isDamage(error: unknown): error is RetakeError {
  return error instanceof RetakeError && error.code === 'repo.damaged'
}
