/** Says in the repository that it is being read for a while, cluster by cluster. */
import { isRetakeError } from '../base/errors.ts'
import { registerReader } from '../repository/readers.ts'
import type { Retake } from './open.ts'

/** @param holder what reads, such as `retake verify` */
export async function registerReaders(
  retake: Retake,
  options: { readonly clusters: readonly string[]; readonly holder: string },
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  for (const name of options.clusters) {
    try {
      const cluster = await retake.repository.openCluster(name)
      undo.use(await registerReader(cluster, { ...retake, holder: options.holder }))
    } catch (error) {
      // Whoever reads finds that out, and says so; nothing of it could be pruned either.
      const known = ['repo.damaged', 'cluster.missing', 'cluster.shredded'] as const
      if (!known.some((code) => isRetakeError(error, code))) throw error
    }
  }
  return undo.move()
}
