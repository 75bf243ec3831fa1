import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type KmsServer, startKmsServer } from '../../../test/support/kms-server.ts'
import { isRetakeError } from '../../base/errors.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository, openRepository } from '../../repository/repository.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { openAwsKms } from './aws-kms.ts'

let kms: KmsServer
const saved = { ...process.env }

before(async () => {
  kms = await startKmsServer()
  Object.assign(process.env, kms.env)
})

after(async () => {
  await kms[Symbol.asyncDispose]()
  process.env = saved
})

const kmsKey = (keyId: string) => ({ kind: 'kms', service: openAwsKms(keyId, { maxAttempts: 1 }) }) as const
const unavailable = (pattern: RegExp, retry: string) => (error: unknown) =>
  isRetakeError(error, 'key.unavailable') &&
  pattern.test(error.message) &&
  error.retry === retry &&
  error.hint !== undefined

test('a key of the key service opens the repository, bound to repository and holder, and is one holder among others', async () => {
  const store = createMemoryStore()
  const arn = kms.createKey()
  const created = await createRepository(store, generateKey())
  const holder = await created.addHolder(kmsKey(arn), { label: 'KMS' })
  const opened = await openRepository(store, kmsKey(arn))
  assert.equal(opened.openedBy, holder)
  assert.ok(Buffer.from(opened.repositoryKey).equals(created.repositoryKey))
  assert.deepEqual(kms.trail.at(-1), {
    action: 'Decrypt',
    context: { 'retake:repository': created.id, 'retake:holder': holder },
  })
  assert.deepEqual((await verifyRepository({ repository: opened, depth: 'deep' })).findings, [])
  const text = Buffer.from((await store.get(`keys/${holder}.json`)) ?? []).toString()
  assert.ok(text.includes(arn), 'the file says which key it needs')
})

test('a repository can be made with a key of the key service alone', async () => {
  const store = createMemoryStore()
  const arn = kms.createKey()
  const created = await createRepository(store, kmsKey(arn))
  assert.deepEqual(
    (await created.listHolders()).map(({ kind, label }) => [kind, label]),
    [['kms', 'key service']],
  )
  await openRepository(store, kmsKey(arn))
})

test('another key of the service, or a file that was moved to another holder, opens nothing', async () => {
  const store = createMemoryStore()
  const [right, wrong] = [kms.createKey(), kms.createKey()]
  await createRepository(store, kmsKey(right))
  await assert.rejects(openRepository(store, kmsKey(wrong)), (error) => isRetakeError(error, 'key.wrong'))
  const service = openAwsKms(right, { maxAttempts: 1 })
  const { wrapped } = await service.wrap(new Uint8Array(32), { repositoryId: 'a', holder: 'b' })
  assert.equal((await service.unwrap(wrapped, { repositoryId: 'a', holder: 'b' }))?.length, 32)
  assert.equal(await service.unwrap(wrapped, { repositoryId: 'a', holder: 'c' }), undefined)
  const flipped = Uint8Array.from(wrapped)
  flipped[flipped.length - 20] = (flipped.at(-20) ?? 0) ^ 1
  assert.equal(await service.unwrap(flipped, { repositoryId: 'a', holder: 'b' }), undefined)
})

test('what the service refuses is said with the next step: denied, disabled, unknown, throttled, unreachable', async () => {
  const store = createMemoryStore()
  const arn = kms.createKey()
  const other = generateKey()
  await (await createRepository(store, kmsKey(arn))).addHolder(other, { label: 'other' })
  kms.setAllowed(arn, false)
  await assert.rejects(openRepository(store, kmsKey(arn)), unavailable(/AWS does not allow it/, 'never'))
  kms.setAllowed(arn, true)
  kms.setEnabled(arn, false)
  await assert.rejects(openRepository(store, kmsKey(arn)), unavailable(/the key is disabled/, 'later'))
  await openRepository(store, other)
  kms.setEnabled(arn, true)
  kms.failNext('ThrottlingException')
  await assert.rejects(openRepository(store, kmsKey(arn)), unavailable(/limiting the rate/, 'later'))
  kms.failNext('hang-up')
  await assert.rejects(openRepository(store, kmsKey(arn)), unavailable(/could not be reached/, 'later'))
  const unknown = arn.replace(/[0-9a-f]{32}$/, '0'.repeat(32))
  await assert.rejects(openRepository(store, kmsKey(unknown)), unavailable(/no such key/, 'never'))
  process.env.AWS_SECRET_ACCESS_KEY = 'wrong'
  await assert.rejects(openRepository(store, kmsKey(arn)), unavailable(/credentials are not valid/, 'never'))
  process.env.AWS_SECRET_ACCESS_KEY = kms.env.AWS_SECRET_ACCESS_KEY
  await openRepository(store, kmsKey(arn))
})

test('a passing fault is tried again, and a call can be stopped', async () => {
  const store = createMemoryStore()
  const arn = kms.createKey()
  await createRepository(store, kmsKey(arn))
  kms.failNext('KMSInternalException')
  await openRepository(store, { kind: 'kms', service: openAwsKms(arn) })
  const stopped = openAwsKms(arn, { signal: AbortSignal.abort() })
  await assert.rejects(openRepository(store, { kind: 'kms', service: stopped }), (error) =>
    isRetakeError(error, 'aborted'),
  )
})
