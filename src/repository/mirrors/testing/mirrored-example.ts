/** The example repository in several memories, each behind faults, as one process or several see it. */
import { assert } from '../../../base/errors.ts'
import { createMemoryStore, type MemoryStore } from '../../../storage/memory-store.ts'
import { COPIES_PREFIX } from '../../../storage/mirrored/copy-record.ts'
import type { CopyEvent } from '../../../storage/mirrored/copy-set.ts'
import { openMirrored } from '../../../storage/mirrored/mirrored-store.ts'
import { createSharedView } from '../../../storage/mirrored/shared-view.ts'
import type { ObjectReader } from '../../../storage/object-store.ts'
import { DEFAULT_TIME_LIMITS, type MirrorSync } from '../../../storage/store-address.ts'
import { FaultyStore } from '../../../storage/testing/faulty-store.ts'
import { GatedStore } from '../../../storage/testing/gated-store.ts'
import { REFERRING_KEYS } from '../../layout.ts'
import { openRepository, type Repository } from '../../repository.ts'
import { createExampleRepository, type ExampleRepository } from '../../testing/example-repository.ts'

export interface ExamplePlace {
  readonly name: string
  readonly memory: MemoryStore
  readonly gate: GatedStore
  readonly faulty: FaultyStore
}

export interface MirroredExample {
  readonly example: ExampleRepository
  readonly places: readonly ExamplePlace[]
  readonly events: CopyEvent[]
  /** As a new process opens it. */
  open(options?: { readonly mirrorSync?: MirrorSync }): Promise<Repository>
}

/** The example is in the first place; the others are empty. */
export async function createMirroredExample(names: readonly string[] = ['origin', 'north']): Promise<MirroredExample> {
  const places = names.map((name) => {
    const memory = createMemoryStore(name)
    const gate = new GatedStore(memory)
    return { name, memory, gate, faulty: new FaultyStore(gate) }
  })
  const [origin] = places
  assert(origin, 'there is a first place')
  const example = await createExampleRepository(origin.memory)
  const events: CopyEvent[] = []
  return {
    example,
    places,
    events,
    async open(options = {}) {
      const store = await openMirrored(
        {
          copies: places.map(({ name, memory }) => ({ name, url: memory.url })),
          mirrorSync: options.mirrorSync ?? 'available',
          referring: REFERRING_KEYS,
          limits: DEFAULT_TIME_LIMITS,
          shared: createSharedView(),
        },
        {
          open: async (url) => {
            const place = places.find(({ memory }) => memory.url === url)
            assert(place, `there is a place ${url}`)
            return place.faulty
          },
          onEvent: (event) => events.push(event),
        },
      )
      return await openRepository(store, example.key)
    },
  }
}

/** Everything that copies have in common. */
export async function contentOf(reader: ObjectReader): Promise<Map<string, string>> {
  const content = new Map<string, string>()
  for await (const { key } of reader.list('')) {
    if (key.startsWith(COPIES_PREFIX)) continue
    content.set(key, Buffer.from((await reader.get(key)) ?? []).toString('base64'))
  }
  return content
}
