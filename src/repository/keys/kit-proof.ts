/** When a key was last proven to restore: the record of `retake keys escrow-test`. The newest of a holder counts. */
import * as z from 'zod'
import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import { timeOrderedId } from '../../base/ids.ts'
import { getSmall, putSmall } from '../container.ts'
import { decodeMeta } from '../meta.ts'
import type { HolderPlace } from './key-ring.ts'

export interface KitProof {
  readonly holder: string
  /** Our clock, ISO 8601 UTC. */
  readonly provenAt: string
  /** Who ran it: `user@host`. */
  readonly by: string
  /** `sample`: frames at random; `full`: every file of the newest backup was restored. */
  readonly depth: 'sample' | 'full'
  /** What was read back with this key alone. */
  readonly clusters: readonly ProvenCluster[]
}

export interface ProvenCluster {
  readonly cluster: string
  readonly backupId?: string | undefined
  /** Frames that were fetched, authenticated and compared with their content ids. */
  readonly frames: number
  /** Plaintext of those frames, or of all files. */
  readonly bytes: number
  /** The newest WAL that was read, `X/Y`. */
  readonly walUntilLsn?: string | undefined
}

const proofSchema = z.object({
  holder: z.string(),
  provenAt: z.string(),
  by: z.string(),
  depth: z.enum(['sample', 'full']),
  clusters: z.array(
    z.object({
      cluster: z.string(),
      backupId: z.string().optional(),
      frames: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
      walUntilLsn: z.string().optional(),
    }),
  ),
})

const PROOF = /^keys\/([0-9a-f]{16})\.proven-\d{8}T\d{6}Z-[0-9a-f]{8}$/

/** The holder that a key in `keys/` proves, or undefined when it is no proof. */
export function parseProofKey(key: string): string | undefined {
  return PROOF.exec(key)?.[1]
}

/** Records a proof, then removes the older ones of this holder. */
export async function putKitProof(place: HolderPlace, proof: KitProof): Promise<void> {
  const key = `keys/${proof.holder}.proven-${timeOrderedId(new Date(proof.provenAt))}`
  await putSmall(place.store, place.sealing, { key, kind: 'kitProof', meta: proofSchema.parse(proof) })
  for (const old of await listProofKeys(place)) {
    if (old < key && parseProofKey(old) === proof.holder) await place.store.delete(old)
  }
}

export interface ReadProofsOptions {
  /** Told of a record that cannot be read, which is then left out. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, key: string) => void) | undefined
}

/** The newest proof of each holder. @throws RetakeError `repo.damaged` */
export async function readKitProofs(
  place: Omit<HolderPlace, 'repositoryKey'>,
  options: ReadProofsOptions = {},
): Promise<Map<string, KitProof>> {
  const proofs = new Map<string, KitProof>()
  for (const key of await listProofKeys(place)) {
    const name = { key, kind: 'kitProof' } as const
    try {
      const meta = await getSmall(place.store, place.sealing, name)
      if (meta === undefined) continue
      const proof = decodeMeta(proofSchema, meta, name)
      proofs.set(proof.holder, proof)
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
      options.onDamage(error, key)
    }
  }
  return proofs
}

/** In the order of holders, then of time. */
async function listProofKeys(place: Pick<HolderPlace, 'store'>): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of place.store.list('keys/')) if (parseProofKey(key) !== undefined) keys.push(key)
  return keys
}
