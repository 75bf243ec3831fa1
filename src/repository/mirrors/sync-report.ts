/** What bringing two copies together has done and found. */
export interface SyncCounts {
  /** Copied to the copy that was behind. */
  readonly copiedObjects: number
  readonly copiedBytes: number
  /** Copied from it: what it alone had. */
  readonly returnedObjects: number
  readonly returnedBytes: number
  /** Sealed differently, or torn, in the copy that was behind; they are now as in the other. */
  readonly replacedObjects: number
  /** Parts of tails whose segment is finished, and leases that ended. */
  readonly deletedObjects: number
}

export interface DamagedObject {
  readonly copy: string
  readonly object: string
}

export interface SyncFindings {
  /** Not authentic in one copy; not copied. For `retake repo heal`. */
  readonly damaged: readonly DamagedObject[]
  /** Authentic in both and different: somebody must decide. */
  readonly conflicts: readonly string[]
}

export class SyncTally {
  readonly counts = {
    copiedObjects: 0,
    copiedBytes: 0,
    returnedObjects: 0,
    returnedBytes: 0,
    replacedObjects: 0,
    deletedObjects: 0,
  }
  readonly #damaged = new Map<string, DamagedObject>()
  readonly #conflicts = new Set<string>()

  damaged(copy: string, object: string): void {
    this.#damaged.set(`${copy}\n${object}`, { copy, object })
  }

  conflict(object: string): void {
    this.#conflicts.add(object)
  }

  /** How much was moved in any direction; a pass that moves nothing has found both alike. */
  get moved(): number {
    const { copiedObjects, returnedObjects, replacedObjects, deletedObjects } = this.counts
    return copiedObjects + returnedObjects + replacedObjects + deletedObjects
  }

  get findings(): SyncFindings {
    return { damaged: [...this.#damaged.values()], conflicts: [...this.#conflicts].sort() }
  }
}
