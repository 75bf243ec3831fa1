/**
 * Brings one object, which one copy has already, to all others that are due to have it. Whoever writes looks for a newer record after the
 * first copy has the object, so that a copy that joins meanwhile is not missed (M1, M2).
 */
import { RetakeError } from '../../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import type { Copy } from './copy.ts'
import type { CopySet } from './copy-set.ts'
import { copyObject, isSameObject } from './move-object.ts'

export interface SpreadOptions {
  readonly key: string
  /** Which copies are due, as known now. */
  readonly due: () => readonly Copy[]
  /** Has the object. */
  readonly first: Copy
  /** Puts it into a copy; false when that one has an object of this name already. Default: a copy of what `first` has. */
  readonly put?: ((copy: Copy) => Promise<boolean>) | undefined
}

export type SpreadOutcome =
  | 'done'
  /** The copy that became primary meanwhile has another object of this name, which counts. */
  | 'lost'

export async function spread(set: CopySet, options: SpreadOptions): Promise<SpreadOutcome> {
  const { first, due } = options
  const done = new Set<Copy>([first])
  await set.refresh()
  for (;;) {
    const missing = due().filter((copy) => !done.has(copy))
    const failures = new Map<Copy, unknown>()
    let isLost = false
    await Promise.all(
      missing.map(async (copy) => {
        try {
          const put = options.put ?? ((to: Copy) => putCopy(first, to, options.key))
          if ((await put(copy)) || (await holdsTheSame(first, copy, options.key))) done.add(copy)
          else if (copy.index === set.view().primary) isLost = true
          else failures.set(copy, differs(copy, options.key))
        } catch (error) {
          failures.set(copy, error)
        }
      }),
    )
    if (isLost) return 'lost'
    set.drop(failures)
    await set.settle()
    if (due().every((copy) => done.has(copy))) return 'done'
  }
}

/** Copies the object of one copy into another; false when that one has an object of this name. */
export async function putCopy(from: Copy, to: Copy, key: string): Promise<boolean> {
  const info = await from.ask((store) => store.head(key))
  // Deleted meanwhile by its owner: then nobody needs it.
  if (info === undefined) return true
  if (await to.ask((store) => store.head(key))) return false
  return await from.move((source) => to.move((target: ObjectStore) => copyObject(source, target, info)))
}

async function holdsTheSame(from: Copy, to: Copy, key: string): Promise<boolean> {
  return await from.move((source) => to.move((target) => isSameObject(source, target, key)))
}

function differs(copy: Copy, key: string): RetakeError {
  return new RetakeError('storage.failed', `The copy "${copy.name}" has another object named ${key}.`, {
    details: { copy: copy.name, object: key },
  })
}
