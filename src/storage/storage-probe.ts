/** What a storage was found to do when it was tried; whether that is enough says `suitability.ts`. */
export interface StorageProbe {
  /** Of two writes to a new name, the second was refused. */
  readonly refusesSecondCreate: boolean
  /** What was written is in the next listing. */
  readonly listsWhatWasWritten: boolean
  readonly readsRanges: boolean
  /** What was deleted is gone. */
  readonly deletes: boolean
  /** How objects go that are too large for one request from memory. */
  readonly largeObjects: 'multipart' | 'spool'
  readonly keepsVersions: boolean
  /** `missing`: the address asks for it, and the bucket has none. */
  readonly objectLock: 'not asked for' | 'enabled' | 'missing'
}
