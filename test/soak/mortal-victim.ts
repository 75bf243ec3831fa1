/**
 * What the victims of the soaks have in common: they die by themselves at one change of the storage, or at a moment that their parent
 * chooses. Their last two arguments, if there are any, say at which change, and whether it still happens.
 */
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { MortalStore } from '../../src/storage/testing/mortal-store.ts'

export interface VictimDeath {
  readonly at: number
  readonly afterwards: boolean
  readonly die: () => void
}

/** Undefined: the parent kills. */
export function deathOf(dieAt: string | undefined, afterwards: string | undefined): VictimDeath | undefined {
  if (dieAt === undefined) return undefined
  const die = () => void process.kill(process.pid, 'SIGKILL')
  return { at: Number(dieAt), afterwards: afterwards === 'true', die }
}

export function mortal(store: ObjectStore, death: VictimDeath | undefined): ObjectStore {
  return death ? new MortalStore(store, death) : store
}

/** Everything is loaded and open: kills from here on fall into the work. */
export function sayBegun(): void {
  process.stdout.write('begun\n')
}
