/** The answer of `retake keys status`, as data. */
import type { EpochUsage } from '../../repository/epoch-usage.ts'
import type { HolderRemoval } from '../../repository/keys/holder-removal.ts'
import type { KitProof } from '../../repository/keys/kit-proof.ts'
import type { ShredProof } from '../../repository/shred.ts'
import type { RotationDue } from './rotation-policy.ts'

export interface HolderView extends RotationDue {
  readonly holder: string
  readonly kind: string
  readonly label: string
  readonly createdAt: string
  /** The key that opened the repository now. */
  readonly inUse: boolean
  /** `removing`: its removal was cut short. `damaged`: the file is not what was written. */
  readonly state: 'good' | 'removing' | 'damaged' | 'missing'
  /** When it was last proven to restore, by `retake keys escrow-test`. */
  readonly proof?: KitProof | undefined
}

export interface EpochView extends EpochUsage {
  readonly epoch: number
  readonly createdAt: string
  /** New objects are sealed with it. */
  readonly current: boolean
  /** When its end was announced. */
  readonly retiringSince?: string | undefined
}

/** What older keys seal, by what becomes of it; each counts objects, packs among them. */
export interface OlderSealed {
  /** `retake keys re-encrypt` seals it anew. */
  readonly toSealAnew: number
  /** The end of the WAL: sealed anew as well, unless a receiver is running. */
  readonly walEnd: number
  /** Was sealed anew, or given up: `retake prune` deletes it when its time of grace is over. */
  readonly toPrune: number
  /** Leases and readers of what runs since before the newest key. */
  readonly passing: number
}

export interface ClusterKeysView extends RotationDue {
  readonly cluster: string
  /** Oldest first; none of a cluster that was shredded. */
  readonly epochs: readonly EpochView[]
  /** Absent when older keys seal nothing. */
  readonly older?: OlderSealed | undefined
  /** Manifests that cannot be read: what they name is not counted. */
  readonly damaged: readonly string[]
  readonly shredded?: ShredProof | undefined
  /** Why nothing more is known. */
  readonly error?: { readonly code: string; readonly message: string } | undefined
}

export interface KeysStatus {
  readonly repository: string
  readonly repositoryId: string
  readonly at: string
  readonly rotationDays?: number | undefined
  readonly holders: readonly HolderView[]
  readonly removed: readonly HolderRemoval[]
  readonly clusters: readonly ClusterKeysView[]
  /** Sentences with the command to run, the most important first. */
  readonly recommendations: readonly string[]
}
