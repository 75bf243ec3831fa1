/** A repository in several places as one object store. What holds, and why, is in `docs/design/mirrors.md`. */
import { RetakeError } from '../../base/errors.ts'
import { assertKeyPrefix, assertObjectKey } from '../keys.ts'
import type {
  ByteRange,
  DeleteOptions,
  ListOptions,
  ObjectAppender,
  ObjectBody,
  ObjectInfo,
  ObjectReader,
  ObjectStore,
  ObjectWriter,
} from '../object-store.ts'
import type { StorageProbe } from '../storage-probe.ts'
import type { MirroredAddress } from '../store-address.ts'
import { Copy } from './copy.ts'
import { type CopyEvent, CopySet } from './copy-set.ts'
import { FanOutAppender } from './fan-out-appender.ts'
import { FanOutWriter } from './fan-out-writer.ts'
import { MirroredReading } from './mirrored-reading.ts'
import { longestLockDays, retainCopies } from './mirrored-retention.ts'
import { ownBytes } from './own-bytes.ts'
import { SharedView } from './shared-view.ts'
import { spread } from './spread.ts'

export interface OpenMirroredOptions {
  /** Opens one place. */
  readonly open: (url: string) => Promise<ObjectStore>
  /** Told of what happens to copies, in the thread where it is noticed. */
  readonly onEvent?: ((event: CopyEvent) => void) | undefined
}

/** Opens all places that can be reached. @throws RetakeError what the first one said, when there is none */
export async function openMirrored(address: MirroredAddress, options: OpenMirroredOptions): Promise<MirroredStore> {
  const view = new SharedView(address.shared)
  const copies = address.copies.map(
    ({ name, url }, index) =>
      new Copy({ name, url, index, view, limits: address.limits, open: () => options.open(url) }),
  )
  const set = new CopySet({ copies, view, mirrorSync: address.mirrorSync, onEvent: options.onEvent })
  const states = await set.load()
  const store = new MirroredStore(set, address)
  if (states.every(({ state }) => state !== 'present')) {
    await store[Symbol.asyncDispose]()
    const [unreachable] = states.flatMap((state) => (state.state === 'unreachable' ? [state.error] : []))
    throw unreachable ?? noRepository(copies)
  }
  return store
}

export class MirroredStore implements ObjectStore {
  readonly address: MirroredAddress
  readonly copies: CopySet
  readonly openAppender?: (key: string) => Promise<ObjectAppender>
  readonly retain?: (key: string, until: Date) => Promise<Date | undefined>
  readonly retainDays: number | undefined
  readonly #reading: MirroredReading
  readonly #referring: readonly RegExp[]
  readonly #appenders = new Set<FanOutAppender>()

  constructor(copies: CopySet, address: MirroredAddress) {
    this.copies = copies
    this.address = address
    this.#reading = new MirroredReading(copies)
    this.#referring = address.referring.map((pattern) => new RegExp(pattern))
    const longestDays = longestLockDays(address.copies)
    this.retainDays = longestDays
    if (longestDays !== undefined) {
      this.retain = (key, until) => retainCopies(copies, { key, until, longestDays })
    }
    // A bucket cannot append; what can, must be the same for all copies, reachable or not.
    if (address.copies.every(({ url }) => !/^[a-z][a-z0-9+.-]+:\/\//i.test(url) || url.startsWith('file:'))) {
      this.openAppender = (key) => this.#openAppender(key)
    }
  }

  /** Of the configured repository, whichever copy is primary just now. */
  get url(): string {
    return this.address.copies[0]?.url ?? ''
  }

  /** The same copies under the rule `available`: a copy can only catch up by what is written meanwhile. Disposing it closes nothing. */
  relaxed(): ObjectStore {
    const { mirrorSync } = this.address
    // With `primary`, others are not written to at all, whatever they hold.
    const store =
      mirrorSync === 'primary'
        ? this
        : new MirroredStore(this.copies.relaxed(), { ...this.address, mirrorSync: 'available' })
    return {
      url: store.url,
      get: (key, range) => store.get(key, range),
      head: (key) => store.head(key),
      list: (prefix, options) => store.list(prefix, options),
      alternatives: store.alternatives,
      create: (key, body) => store.create(key, body),
      openWriter: (key) => store.openWriter(key),
      replace: (key, body) => store.replace(key, body),
      delete: (key, options) => store.delete(key, options),
      async [Symbol.asyncDispose]() {},
    }
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    assertObjectKey(key)
    return await this.#reading.get(key, range)
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertObjectKey(key)
    return await this.#reading.head(key)
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    assertKeyPrefix(prefix)
    return this.#reading.list(prefix, options)
  }

  readonly alternatives = (key: string): readonly ObjectReader[] => this.#reading.alternatives(key)

  async create(key: string, body: ObjectBody): Promise<boolean> {
    assertObjectKey(key)
    const due = () => this.#due(key)
    const own = ownBytes(body)
    const put = (copy: Copy) => copy.move((store) => store.create(key, own))
    const { copy: first, result: created } = await this.#onFirst(key, put)
    const outcome = await spread(this.copies, { key, due, first, put: created ? put : undefined })
    return created && outcome === 'done'
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    assertObjectKey(key)
    const due = () => this.#due(key)
    await this.copies.targets({ isReferring: true })
    return await FanOutWriter.open(this.copies, due(), { key, due })
  }

  async replace(key: string, body: ObjectBody): Promise<void> {
    assertObjectKey(key)
    const own = ownBytes(body)
    const put = async (copy: Copy) => {
      await copy.move((store) => store.replace(key, own))
      return true
    }
    const { copy: first } = await this.#onFirst(key, put)
    await spread(this.copies, { key, due: () => this.#due(key), first, put })
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    assertObjectKey(key)
    await this.copies.targets({ isReferring: true })
    await this.copies.refresh()
    if (options.copies !== 'reachable') this.#assertAllCurrent(key)
    // The primary last: what is still to be seen there is still to be deleted.
    const copies = this.copies.targetsNow({ isReferring: true }).reverse()
    let wasThere = false
    for (const copy of copies) {
      try {
        if (await copy.move((store) => store.delete(key, options))) wasThere = true
      } catch (error) {
        if (options.copies !== 'reachable') throw error
        this.copies.drop(new Map([[copy, error]]))
      }
    }
    await this.copies.settle()
    return wasThere
  }

  /** Of the primary; the others were tried when they were set up. */
  readonly probe = async (): Promise<StorageProbe | undefined> => {
    await this.copies.targets({ isReferring: true })
    const [primary] = this.copies.targetsNow({ isReferring: true })
    return await primary?.move(async (store) => await store.probe?.())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const copy of this.copies.copies) await copy[Symbol.asyncDispose]()
  }

  async #openAppender(key: string): Promise<ObjectAppender> {
    assertObjectKey(key)
    const due = () => this.copies.targetsNow({ isReferring: false })
    await this.copies.targets({ isReferring: false })
    await this.copies.refresh()
    const appender = await FanOutAppender.open(this.copies, due(), {
      key,
      due,
      closed: (closing) => this.#appenders.delete(closing),
    })
    this.#appenders.add(appender)
    return appender
  }

  /** The first copy that takes it, beginning with the primary. */
  async #onFirst<T>(key: string, action: (copy: Copy) => Promise<T>): Promise<{ copy: Copy; result: T }> {
    for (;;) {
      await this.copies.targets({ isReferring: true })
      const [copy] = this.#due(key)
      if (copy === undefined) throw notYetHeld(key)
      try {
        return { copy, result: await action(copy) }
      } catch (error) {
        this.copies.drop(new Map([[copy, error]]))
      }
    }
  }

  #due(key: string): Copy[] {
    const isReferring = this.#isReferring(key)
    const targets = this.copies.targetsNow({ isReferring })
    if (!isReferring) return targets
    return targets.filter((copy) => [...this.#appenders].every((appender) => appender.copies.includes(copy)))
  }

  #isReferring(key: string): boolean {
    return this.#referring.some((pattern) => pattern.test(key))
  }

  #assertAllCurrent(key: string): void {
    const current = this.copies.current().map(({ name }) => name)
    const away = this.copies.record.members.filter((name) => !current.includes(name))
    if (away.length === 0) return
    throw new RetakeError(
      'storage.failed',
      `${key} was not deleted: ${away.join(', ')} cannot be reached or has not caught up, and would bring it back.`,
      {
        hint: 'Run `retake repo sync` when every copy is back, or give one up: retake repo mirrors --forget NAME',
        details: { object: key, copies: away },
      },
    )
  }
}

function notYetHeld(key: string): RetakeError {
  return new RetakeError('storage.failed', `${key} was not written: no copy holds yet what it speaks of.`, {
    details: { object: key },
  })
}

function noRepository(copies: readonly Copy[]): RetakeError {
  return new RetakeError('repo.missing', `There is no repository in ${copies.map(({ url }) => url).join(', ')}.`, {
    hint: 'Check the places, or run `retake init` to make a repository there.',
  })
}
