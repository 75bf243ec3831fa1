/**
 * The copies of one repository and what is recorded of them: who is primary, who holds everything. A write that a copy missed is recorded
 * durably on the others before it counts (M2); a place that is not the repository any more is not believed (M8).
 */
import { sleep } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import type { MirrorSync } from '../store-address.ts'
import { type Copy, isFailureOfPlace } from './copy.ts'
import { fenced, lostItself, notConfigured } from './copy-errors.ts'
import {
  type CopyRecord,
  createRecord,
  IDENTITY_KEY,
  newestOf,
  readNewestGeneration,
  type StoredRecord,
} from './copy-record.ts'
import { type LookedAt, look, type PlaceState, recordsOf, resting, withoutForeign } from './look-at-place.ts'
import type { CopyMask, SharedView, View } from './shared-view.ts'

export interface CopyEvent {
  readonly kind: 'dropped' | 'stale-read' | 'suspected'
  readonly copy: string
  readonly message: string
}

export interface CopySetOptions {
  readonly copies: readonly Copy[]
  readonly view: SharedView
  readonly mirrorSync: MirrorSync
  readonly onEvent?: ((event: CopyEvent) => void) | undefined
}

export type RecordChange = Partial<Pick<CopyRecord, 'primary' | 'current' | 'joining' | 'members'>> & {
  readonly reason: string
}

/** So many others may announce something at the same moment before it is taken for a defect. */
const ATTEMPTS = 20
/** Together a second. */
const ANNOUNCEMENT_LOOKS = 20
const ANNOUNCEMENT_PAUSE_MS = 50

export class CopySet {
  readonly copies: readonly Copy[]
  readonly mirrorSync: MirrorSync
  readonly #view: SharedView
  readonly #onEvent: ((event: CopyEvent) => void) | undefined
  #record: CopyRecord | undefined
  #reasons: string[] = []

  constructor(options: CopySetOptions) {
    this.copies = options.copies
    this.mirrorSync = options.mirrorSync
    this.#view = options.view
    this.#onEvent = options.onEvent
  }

  /** The same copies, written to as soon as one that holds everything has it: for bringing the others back. */
  relaxed(): CopySet {
    const onEvent = this.#onEvent
    return new CopySet({ copies: this.copies, view: this.#view, mirrorSync: 'available', onEvent })
  }

  /** The record that counts, as last read; generation 0 stands for a repository that never had mirrors. */
  get record(): CopyRecord {
    return this.#record ?? { ...this.#first(), generation: 0, joining: [], reason: 'no mirrors yet', at: '' }
  }

  /** False until the places were looked at for the first time. */
  get isLoaded(): boolean {
    return this.#view.isKnown
  }

  view(): View {
    return this.#view.read()
  }

  /** Copies that hold everything, the primary first. */
  current(): Copy[] {
    return this.#inOrder(this.view().current)
  }

  /** Copies that are about to hold everything. */
  joining(): Copy[] {
    const { joining } = this.view()
    return this.copies.filter(({ bit }) => joining & bit)
  }

  /** Where a write goes, the primary first. @throws RetakeError `storage.failed` when that is not enough */
  async targets(options: { readonly isReferring: boolean }): Promise<Copy[]> {
    if (!this.isLoaded) await this.load()
    try {
      this.assertEnough()
    } catch {
      // Somebody may have brought a copy back meanwhile.
      await this.load()
      this.assertEnough()
    }
    return this.targetsNow(options)
  }

  /** @throws RetakeError `storage.failed` when this process must not write any more */
  targetsNow({ isReferring }: { readonly isReferring: boolean }): Copy[] {
    const { current, joining, isFenced } = this.#effective()
    if (isFenced) throw fenced()
    return [...this.#inOrder(current), ...(isReferring ? [] : this.copies.filter(({ bit }) => joining & bit))]
  }

  emit(event: CopyEvent): void {
    this.#onEvent?.(event)
  }

  /**
   * Looks at every place, and takes over the record that counts. Places that failed a moment ago are left alone, unless `all` are asked for,
   * the record says that somebody has reached them since, or there is nobody else.
   */
  async load(options: { readonly all?: boolean } = {}): Promise<readonly PlaceState[]> {
    const asked = this.copies.filter((copy) => options.all || !copy.isResting)
    const states = await this.#look(asked, this.copies.map(resting))
    const named = newestOf(recordsOf(states))?.record
    const isNews = named !== undefined && named.generation > this.view().generation
    const more = this.copies.filter(({ name }, index) => {
      if (asked.some((copy) => copy.index === index)) return false
      return named === undefined || (isNews && [...named.current, ...named.joining].includes(name))
    })
    return this.#takeOver(withoutForeign(await this.#announced(await this.#look(more, states))))
  }

  /**
   * A record reaches one copy after the other. Whoever looks in between would take the copies that do not have it yet for ones that have
   * lost something, and announce that: so it is waited for, as long as announcing may take.
   */
  async #announced(found: readonly LookedAt[]): Promise<readonly LookedAt[]> {
    let states = found
    for (let look = 0; look < ANNOUNCEMENT_LOOKS; look++) {
      const due = copiesDue(this.copies, states)
      if (due.length === 0) break
      await sleep(ANNOUNCEMENT_PAUSE_MS)
      states = await this.#look(due, states)
    }
    return states
  }

  /** Looks at some places; what is known of the others stays. */
  #look(asked: readonly Copy[], known: readonly LookedAt[]): Promise<LookedAt[]> {
    return Promise.all(
      this.copies.map(async (copy, index) => {
        const before = known[index]
        return before === undefined || asked.includes(copy) ? await look(copy) : before
      }),
    )
  }

  #takeOver(states: readonly PlaceState[]): readonly PlaceState[] {
    const newest = newestOf(recordsOf(states))
    this.#record = newest?.record
    if (newest === undefined) this.#adoptFirst(states)
    else this.#adopt(newest, states)
    return states
  }

  /** Asks all current copies whether there is something newer. A copy that cannot say so is dropped. */
  async refresh(): Promise<void> {
    await this.#know()
    const { generation } = this.view()
    let isNewer = false
    const failures = new Map<Copy, unknown>()
    await Promise.all(
      this.current().map(async (copy) => {
        try {
          const found = await copy.ask((store) => readNewestGeneration(store))
          if (found > generation) isNewer = true
          else if (found < generation) throw lostItself(copy)
        } catch (error) {
          failures.set(copy, error)
        }
      }),
    )
    this.drop(failures)
    if (isNewer) await this.load()
  }

  /**
   * Takes copies that failed out of use. What they missed is recorded by {@link settle}.
   * @throws the failure, when it is none of the place, or no current copy would be left
   */
  drop(failures: ReadonlyMap<Copy, unknown>): void {
    const [first] = failures.values()
    if (failures.size === 0) return
    for (const error of failures.values()) if (!isFailureOfPlace(error)) throw error
    const mask = [...failures.keys()].reduce((bits, { bit }) => bits | bit, 0)
    const isPrimaryOnly = this.mirrorSync === 'primary' && (mask & (1 << this.view().primary)) !== 0
    if (isPrimaryOnly || !this.#view.tryDrop(mask)) throw first
    for (const [copy, error] of failures) {
      const message = isRetakeError(error) ? error.message : String(error)
      this.#reasons.push(`${copy.name} failed: ${message}`)
      const left = this.current().map(({ name }) => name)
      this.emit({
        kind: 'dropped',
        copy: copy.name,
        message: `The copy "${copy.name}" is not written to any more (${message}) Going on with ${left.join(', ')}. It catches up by \`retake repo sync\`.`,
      })
    }
  }

  /**
   * Called before a write resolves: everything that was missed by a copy is recorded on the others.
   * @throws RetakeError `storage.failed` when fewer copies are left than `mirrorSync` asks for
   */
  async settle(): Promise<void> {
    await this.#know()
    if (this.view().current === 0) return this.assertEnough()
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { current, joining, recorded } = this.#effective()
      const { joining: known } = this.record
      if (current === recorded && this.#names(joining).length === known.length) return this.assertEnough()
      const reason = this.#reasons.join(' ') || 'not every copy could be reached'
      if (await this.#announce({ current: this.#names(current), joining: this.#names(joining), reason })) {
        this.#reasons = []
      }
      if (this.view().current === 0) return this.assertEnough()
    }
    throw new RetakeError(
      'storage.failed',
      'Which copies hold everything could not be recorded: others kept changing it.',
    )
  }

  /** @throws RetakeError `storage.failed` when fewer copies are current than `mirrorSync` asks for, `config.invalid` when one is not configured */
  assertEnough(): void {
    const unknown = this.record.members.filter((name) => !this.copies.some((copy) => copy.name === name))
    if (unknown.length > 0) throw notConfigured(unknown)
    if (this.view().isFenced) throw fenced()
    const count = this.current().length
    const total = this.copies.length
    const needed = this.mirrorSync === 'all' ? total : this.mirrorSync === 'quorum' ? Math.floor(total / 2) + 1 : 1
    const primary = this.copies[this.view().primary]
    const lacksPrimary = this.mirrorSync === 'primary' && !(this.view().current & (primary?.bit ?? 0))
    if (count >= needed && !lacksPrimary) return
    const held = this.current().map(({ name }) => name)
    throw new RetakeError(
      'storage.failed',
      lacksPrimary
        ? `The primary copy "${primary?.name}" cannot be written, and mirrorSync is "primary".`
        : `Only ${count} of ${total} copies hold everything and can be reached (${held.join(', ') || 'none'}); ${needed} are needed.`,
      {
        hint: 'See `retake repo mirrors`. A copy that is back catches up with `retake repo sync`; `retake repo primary NAME` makes another one the primary.',
        details: { current: held, needed },
      },
    )
  }

  /** Records a change on every copy that it names, and on others where that is possible. Done already is fine. */
  async announce(change: (record: CopyRecord) => RecordChange | undefined): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await this.load()
      const wanted = change(this.record)
      if (wanted === undefined || (await this.#announce(wanted))) return
    }
    throw new RetakeError('storage.failed', 'A change of the copies could not be recorded: others kept changing it.')
  }

  /** One attempt; false when another generation came first. */
  async #announce(change: RecordChange): Promise<boolean> {
    const before = this.record
    const current = change.current ?? before.current
    const wanted = change.primary ?? before.primary
    const record: CopyRecord = {
      ...before,
      ...change,
      generation: Math.max(before.generation, this.view().generation) + 1,
      primary: current.includes(wanted) ? wanted : (current[0] ?? wanted),
      at: new Date().toISOString(),
    }
    const must = this.#inOrder(this.#mask(current))
    let first = true
    for (const copy of must) {
      const created = await copy
        .ask((store) => createRecord(store, record))
        .catch((error: unknown) => {
          this.drop(new Map([[copy, error]]))
          return undefined
        })
      if (created === false && first) {
        await this.load()
        return false
      }
      if (created) first = false
    }
    const others = this.copies.filter((copy) => !must.includes(copy) && !copy.isResting)
    await Promise.all(others.map((copy) => copy.ask((store) => tellOther(store, record)).catch(() => undefined)))
    await this.load()
    return !first && this.record.generation >= record.generation
  }

  /** Another thread may have taken over a newer record than this one has read. */
  async #know(): Promise<void> {
    if (!this.#view.isKnown || this.view().generation !== this.record.generation) await this.load()
  }

  /** What the view comes to under the rule of `mirrorSync`: with `primary`, the others only follow. */
  #effective(): View {
    const view = this.view()
    if (this.mirrorSync !== 'primary') return view
    return { ...view, current: view.current & (1 << view.primary), joining: 0 }
  }

  #adopt(newest: StoredRecord, states: readonly PlaceState[]): void {
    const { record, text } = newest
    const stores = this.copies.filter((_, index) => {
      const state = states[index]
      return state?.state === 'present' && state.record?.text === text
    })
    const confirmed = this.#mask(stores.map(({ name }) => name))
    const recorded = this.#mask(record.current)
    const primary = this.copies.findIndex(({ name }) => name === record.primary)
    this.#view.adopt({
      generation: record.generation,
      primary: Math.max(0, primary),
      current: recorded & confirmed,
      joining: this.#mask(record.joining) & confirmed,
      recorded,
    })
  }

  /** Before there is any record, the configured repository is the only copy. */
  #adoptFirst(states: readonly PlaceState[]): void {
    const current = states[0]?.state === 'present' ? 1 : 0
    this.#view.adopt({ generation: 0, primary: 0, current, joining: 0, recorded: 1 })
  }

  #first() {
    const name = this.copies[0]?.name ?? ''
    return { primary: name, current: [name], members: [name] }
  }

  #inOrder(mask: CopyMask): Copy[] {
    const { primary } = this.view()
    const chosen = this.copies.filter(({ bit }) => mask & bit)
    return [...chosen.filter(({ index }) => index === primary), ...chosen.filter(({ index }) => index !== primary)]
  }

  #mask(names: readonly string[]): CopyMask {
    return this.copies.reduce((mask, { name, bit }) => (names.includes(name) ? mask | bit : mask), 0)
  }

  #names(mask: CopyMask): string[] {
    return this.copies.filter(({ bit }) => mask & bit).map(({ name }) => name)
  }
}

/** Those that the newest record names and that still have the one before it. */
function copiesDue(copies: readonly Copy[], states: readonly LookedAt[]): Copy[] {
  const newest = newestOf(recordsOf(states))?.record
  if (newest === undefined) return []
  const named = [...newest.current, ...newest.joining]
  return copies.filter(({ name }, index) => {
    const state = states[index]
    if (state === undefined || !('record' in state) || !named.includes(name)) return false
    return (state.record?.record.generation ?? 0) === newest.generation - 1
  })
}

/** A copy that is stale shall know it, if it can be told; one that was emptied shall stay empty. */
async function tellOther(store: ObjectStore, record: CopyRecord): Promise<void> {
  if (await store.head(IDENTITY_KEY)) await createRecord(store, record)
}
