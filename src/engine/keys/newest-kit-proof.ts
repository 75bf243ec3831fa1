import { type KitProof, readKitProofs } from '../../repository/keys/kit-proof.ts'
import type { Repository } from '../../repository/repository.ts'

/** The newest proof that a recovery kit, which still opens the repository, restores. One that cannot be read is as good as none. */
export async function newestKitProof(repository: Repository): Promise<KitProof | undefined> {
  const kits = (await repository.listHolders()).filter(({ kind }) => kind === 'recovery-kit')
  const proofs = await readKitProofs(repository, { onDamage: () => {} })
  return kits
    .flatMap(({ holder }) => proofs.get(holder) ?? [])
    .sort((left, right) => (left.provenAt < right.provenAt ? -1 : 1))
    .at(-1)
}
