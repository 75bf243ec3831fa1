import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore, type MemoryStore } from '../storage/memory-store.ts'
import type { KeyMaterial } from './keys/key-material.ts'
import { openRepository } from './repository.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import type { VerifyReport } from './verify/findings.ts'
import { verifyRepository } from './verify.ts'

type Objects = ReadonlyMap<string, Uint8Array>

const source = createMemoryStore('example')
const example = await createExampleRepository(source)
const objects = await snapshot(source)

async function snapshot(store: MemoryStore): Promise<Objects> {
  const all = new Map<string, Uint8Array>()
  for await (const { key } of store.list('')) all.set(key, (await store.get(key)) as Uint8Array)
  return all
}

async function restoreObjects(all: Objects): Promise<MemoryStore> {
  const store = createMemoryStore('damaged')
  for (const [key, bytes] of all) await store.create(key, bytes)
  return store
}

/** What was found: the report, or the error that opening the repository gave. */
async function find(all: Objects, key: KeyMaterial = example.key): Promise<{ report?: VerifyReport; error?: unknown }> {
  const store = await restoreObjects(all)
  try {
    await using repository = await openRepository(store, key)
    return { report: await verifyRepository({ repository, depth: 'deep' }) }
  } catch (error) {
    return { error }
  }
}

async function assertFound(all: Objects, damaged: { readonly key: string; readonly what: string }): Promise<void> {
  const { report, error } = await find(all)
  if (report === undefined) {
    assert.ok(isRetakeError(error), `${damaged.what}: ${String(error)}`)
    assert.equal(error.code, 'repo.damaged', `${damaged.what}: ${error.code} ${error.message}`)
    assert.ok(error.message.includes(damaged.key), `${damaged.what}: ${error.message}`)
    return
  }
  assert.equal(report.ok, false, `${damaged.what} was not found`)
  const named = report.findings.some(({ object }) => isAbout(object, damaged.key))
  assert.ok(named, `${damaged.what} was not named, but ${JSON.stringify(report.findings)}`)
}

/** A removed part of a tail, or partial segment, is named by the segment whose bytes are missing. */
function isAbout(object: string, key: string): boolean {
  const segment = (text: string) => text.replace(/tail\/([0-9A-F]{16})-.*$/, '$1').replace(/\.partial$/, '')
  return object === key || segment(object) === segment(key)
}

function kindOf(key: string): string {
  return key
    .replace(/[0-9a-f]{32}|[0-9a-f]{16}(?=\.)|[0-9A-F]{16}|[0-9A-F]{8}/g, '#')
    .replace(/\d{8}T\d{6}Z-[0-9a-f]{8}/, '#')
    .replace(/packs\/[0-9a-f]{2}/, 'packs')
}

test('an undamaged repository is in order', async () => {
  const { report } = await find(objects)
  assert.deepEqual(report?.findings, [])
  assert.equal(report?.ok, true)
  assert.deepEqual([report?.backups, report?.packs, report?.segments], [2, 4, 6])
})

test('every flipped bit of any object is found and named', async () => {
  for (const [key, bytes] of objects) {
    const places = [0, bytes.length - 1, ...Array.from({ length: 4 }, () => randomInt(bytes.length))]
    for (const place of places) {
      const mask = 1 << randomInt(8)
      const changed = bytes.slice()
      changed[place] = (changed[place] as number) ^ mask
      await assertFound(new Map(objects).set(key, changed), { key, what: `${key} byte ${place} ^ ${mask}` })
    }
  }
})

test('every object that was cut short is found and named', async () => {
  for (const [key, bytes] of objects) {
    for (const length of [0, bytes.length - 1, randomInt(bytes.length)]) {
      const what = `${key} cut to ${length} of ${bytes.length}`
      await assertFound(new Map(objects).set(key, bytes.slice(0, length)), { key, what })
    }
  }
})

test('every object that was lengthened is found and named', async () => {
  for (const [key, bytes] of objects) {
    // What follows the records of a tail part is what a crash may leave, and changes nothing.
    if (key.includes('/tail/')) continue
    await assertFound(new Map(objects).set(key, Buffer.concat([bytes, Buffer.from([0])])), {
      key,
      what: `${key} lengthened`,
    })
  }
})

test('every removed object is found and named', async () => {
  for (const key of objects.keys()) {
    const all = new Map(objects)
    all.delete(key)
    await assertFound(all, { key, what: `${key} removed` })
  }
})

test('every object that was exchanged with another of its kind is found and named', async () => {
  let exchanged = 0
  for (const [key, bytes] of objects) {
    const others = [...objects.keys()].filter((other) => other > key && kindOf(other) === kindOf(key))
    for (const other of others) {
      const all = new Map(objects).set(key, objects.get(other) as Uint8Array).set(other, bytes)
      await assertFound(all, { key, what: `${key} exchanged with ${other}` })
      exchanged += 1
    }
  }
  assert.ok(exchanged >= 15, `only ${exchanged} pairs of a kind`)
})
