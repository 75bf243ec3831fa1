/** Several memory stores as one, each behind faults that a test plans. */
import { assert } from '../../../base/errors.ts'
import { createMemoryStore, type MemoryStore } from '../../memory-store.ts'
import type { ObjectInfo, ObjectReader } from '../../object-store.ts'
import { DEFAULT_TIME_LIMITS, type MirroredAddress, type MirrorSync, type TimeLimits } from '../../store-address.ts'
import { FaultyStore } from '../../testing/faulty-store.ts'
import { GatedStore } from '../../testing/gated-store.ts'
import { COPIES_PREFIX, createRecord, IDENTITY_KEY } from '../copy-record.ts'
import type { CopyEvent } from '../copy-set.ts'
import { type MirroredStore, openMirrored } from '../mirrored-store.ts'
import { createSharedView } from '../shared-view.ts'

export interface LabPlace {
  readonly name: string
  readonly url: string
  readonly memory: MemoryStore
  /** What the mirrored store sees. */
  readonly faulty: FaultyStore
  readonly gate: GatedStore
}

export interface MirroredLab extends AsyncDisposable {
  readonly store: MirroredStore
  readonly places: readonly LabPlace[]
  readonly events: CopyEvent[]
  readonly address: MirroredAddress
  /** Another process that sees the same places. */
  reopen(options?: { readonly mirrorSync?: MirrorSync }): Promise<MirroredStore>
}

export interface LabOptions {
  readonly names?: readonly string[]
  readonly mirrorSync?: MirrorSync
  readonly referring?: readonly string[]
  readonly limits?: TimeLimits
  /** Default: all. */
  readonly current?: readonly string[]
}

export async function openMirroredLab(options: LabOptions = {}): Promise<MirroredLab> {
  const names = options.names ?? ['origin', 'north']
  const places = names.map((name) => place(name))
  const record = {
    generation: 1,
    primary: names[0] ?? '',
    current: options.current ?? names,
    joining: [],
    members: names,
    reason: 'test',
    at: '2026-01-01T00:00:00.000Z',
  }
  for (const { memory } of places) {
    await memory.create(IDENTITY_KEY, Buffer.from('{"repositoryId":"r"}'))
    await createRecord(memory, record)
  }
  const events: CopyEvent[] = []
  const addressOf = (mirrorSync: MirrorSync): MirroredAddress => ({
    copies: places.map(({ name, url }) => ({ name, url })),
    mirrorSync,
    referring: options.referring ?? ['^late/'],
    limits: options.limits ?? DEFAULT_TIME_LIMITS,
    shared: createSharedView(),
  })
  const open = (address: MirroredAddress) =>
    openMirrored(address, {
      open: async (url) => {
        const found = places.find((one) => one.url === url)
        assert(found, `there is a place ${url}`)
        return found.faulty
      },
      onEvent: (event) => events.push(event),
    })
  const address = addressOf(options.mirrorSync ?? 'available')
  const stores = [await open(address)]
  return {
    store: stores[0] as MirroredStore,
    places,
    events,
    address,
    async reopen(again = {}) {
      const store = await open(addressOf(again.mirrorSync ?? options.mirrorSync ?? 'available'))
      stores.push(store)
      return store
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]()
    },
  }
}

/** Everything that copies have in common, as text. */
export async function contentOf(reader: ObjectReader): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for (const { key } of await keysOf(reader)) {
    content[key] = Buffer.from((await reader.get(key)) ?? new Uint8Array()).toString('base64')
  }
  return content
}

async function keysOf(reader: ObjectReader): Promise<ObjectInfo[]> {
  const infos = await Array.fromAsync(reader.list(''))
  return infos.filter(({ key }) => !key.startsWith(COPIES_PREFIX))
}

function place(name: string): LabPlace {
  const memory = createMemoryStore(name)
  const gate = new GatedStore(memory)
  return { name, url: `memory:${name}`, memory, gate, faulty: new FaultyStore(gate) }
}
