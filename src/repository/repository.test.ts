import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts'
import { encodeCanonical } from './keys/canonical-json.ts'
import { checkOf } from './keys/holder-file.ts'
import { generateKey } from './keys/key-material.ts'
import { parseKeyText } from './keys/key-text.ts'
import { renderRecoveryKit } from './keys/recovery-kit.ts'
import { REPOSITORY_KEY } from './layout.ts'
import { createRepository, isRepository, openRepository } from './repository.ts'
import { CHEAP_SCRYPT, createExampleRepository, exampleFacts } from './testing/example-repository.ts'

const code = (expected: string) => (error: unknown) => isRetakeError(error) && error.code === expected

test('a repository in a directory is opened with its key, a passphrase, or the text of the recovery kit', async () => {
  await using directory = await temporaryDirectory()
  const url = join(directory.path, 'new', 'repository')
  const key = generateKey()
  assert.equal(await isRepository(url), false)
  await using created = await createRepository(url, key, { label: 'laptop' })
  const kitKey = generateKey()
  await created.addHolder(kitKey, { label: 'safe', kind: 'recovery-kit' })
  await created.addHolder({ kind: 'passphrase', text: 'naïve café' }, { label: 'team', scryptCost: CHEAP_SCRYPT })
  assert.equal(await isRepository(url), true)
  const kit = renderRecoveryKit({ repositoryId: created.id, url, createdAt: new Date(), key: kitKey })
  const decomposed = { kind: 'passphrase', text: 'naïve café'.normalize('NFD') } as const
  for (const secret of [key, parseKeyText(kit), decomposed]) {
    await using opened = await openRepository(url, secret)
    assert.equal(opened.id, created.id)
    assert.equal(opened.createdAt, created.createdAt)
    const holders = (await opened.listHolders()).map(({ kind, label }) => `${kind} ${label}`)
    assert.deepEqual(holders.sort(), ['key laptop', 'passphrase team', 'recovery-kit safe'])
  }
})

test('a wrong key or passphrase is told from a missing repository', async () => {
  const store = createMemoryStore()
  await createRepository(store, { kind: 'passphrase', text: 'right' }, { scryptCost: CHEAP_SCRYPT })
  await assert.rejects(openRepository(store, { kind: 'passphrase', text: 'wrong' }), code('key.wrong'))
  await assert.rejects(openRepository(store, generateKey()), code('key.wrong'))
  await assert.rejects(openRepository(createMemoryStore(), generateKey()), code('repo.missing'))
  await assert.rejects(openRepository('/nowhere/at/all', generateKey()), code('repo.missing'))
})

test('no secret is stored in the clear or repeated in an error', async () => {
  const store = createMemoryStore()
  const key = generateKey()
  const repository = await createRepository(store, key)
  await repository.addHolder({ kind: 'passphrase', text: 'tell nobody' }, { label: 'x', scryptCost: CHEAP_SCRYPT })
  for await (const { key: name } of store.list('')) {
    const text = Buffer.from((await store.get(name)) ?? []).toString('latin1')
    for (const secret of [key.bytes, repository.repositoryKey]) {
      for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
        assert.ok(!text.includes(Buffer.from(secret).toString(encoding)), name)
      }
    }
    assert.ok(!text.includes('tell nobody'), name)
  }
  await assert.rejects(
    openRepository(store, { kind: 'passphrase', text: 'my other secret' }),
    (error) => !String(error).includes('my other'),
  )
})

test('a repository is made once, in an empty place; a creation that was cut short is no obstacle', async () => {
  const store = createMemoryStore()
  const first = await createRepository(store, generateKey())
  await assert.rejects(createRepository(store, generateKey()), code('repo.exists'))
  await store.delete(REPOSITORY_KEY)
  const key = generateKey()
  const second = await createRepository(store, key)
  assert.notEqual(second.id, first.id)
  assert.equal((await second.listHolders()).length, 1, 'the holder of the first attempt is gone')
  const foreign = createMemoryStore()
  await foreign.create('photos/cat.jpg', Buffer.from('x'))
  await assert.rejects(createRepository(foreign, generateKey()), code('repo.exists'))
  assert.ok(await foreign.head('photos/cat.jpg'))
})

test('a newer format version is refused, damage is told from it', async () => {
  await using directory = await temporaryDirectory()
  const key = generateKey()
  await using created = await createRepository(directory.path, key)
  const path = join(directory.path, REPOSITORY_KEY)
  const original = await readFile(path)
  await writeFile(path, original.toString().replace('"version": 1', '"version": 2'))
  await assert.rejects(openRepository(directory.path, key), code('repo.damaged'))
  const facts = { format: 'retake', version: 2, repositoryId: created.id, something: 'new' }
  await writeFile(path, encodeCanonical({ ...facts, check: checkOf(facts), mac: 'x' }))
  await assert.rejects(openRepository(directory.path, key), code('repo.version'))
})

test('clusters are registered once, recognised again, and not mixed up', async () => {
  const store = createMemoryStore()
  const repository = await createRepository(store, generateKey())
  assert.deepEqual(await repository.listClusters(), [])
  const cluster = await repository.registerCluster(exampleFacts)
  assert.deepEqual(cluster.facts, exampleFacts)
  const again = await repository.registerCluster({ ...exampleFacts, serverVersionNum: 170011 })
  assert.deepEqual(again.facts, exampleFacts, 'a minor upgrade is the same cluster')
  assert.deepEqual(again.sealing.contentKey, cluster.sealing.contentKey)
  await assert.rejects(repository.registerCluster({ ...exampleFacts, systemIdentifier: '1' }), code('cluster.foreign'))
  for (const name of ['a', 'main-2', 'main.x', 'Z']) await repository.registerCluster({ ...exampleFacts, name })
  assert.deepEqual(await repository.listClusters(), ['Z', 'a', 'main', 'main-2', 'main.x'])
  const other = await repository.openCluster('a')
  assert.notDeepEqual(other.sealing.contentKey, cluster.sealing.contentKey, 'each cluster has its own data key')
  await assert.rejects(repository.openCluster('nothing'), code('cluster.missing'))
  for (const name of ['', '.', '..', '.a', '-a', 'a/b', 'a b', 'x'.repeat(64)]) {
    await assert.rejects(repository.registerCluster({ ...exampleFacts, name }), code('config.invalid'), name)
  }
})

test('two registrations at once agree on one data key', async () => {
  const store = createMemoryStore()
  const repository = await createRepository(store, generateKey())
  const clusters = await Promise.all([
    repository.registerCluster(exampleFacts),
    repository.registerCluster(exampleFacts),
  ])
  assert.deepEqual(clusters[0]?.sealing.contentKey, clusters[1]?.sealing.contentKey)
})

test('a damaged retake.json says what it is and how to go on, not to run what cannot start', async () => {
  const store = createMemoryStore()
  const { key } = await createExampleRepository(store)
  const original = Buffer.from((await store.get('retake.json')) ?? [])
  for (const bytes of [original.subarray(0, 20), Buffer.from(original.toString().replace('Z"', 'z"'))]) {
    await store.replace('retake.json', bytes)
    await assert.rejects(openRepository(store, key), (error) => {
      assert.ok(isRetakeError(error, 'repo.damaged'))
      assert.match(error.message, /retake\.json is damaged.*backups and WAL/)
      assert.match(error.hint ?? '', /back from a copy/)
      assert.equal(error.details.object, 'retake.json')
      return true
    })
  }
  await store.replace('retake.json', original)
  await openRepository(store, key)
})
