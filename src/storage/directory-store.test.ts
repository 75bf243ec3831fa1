import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { isRetakeError } from '../base/errors.ts'
import { currentProcess } from '../base/process-identity.ts'
import { DirectoryStore } from './directory-store.ts'
import { openStore } from './open.ts'
import { cleanStaging, STAGING, stagingName } from './staging.ts'
import { testObjectStoreContract } from './testing/object-store-contract.ts'
import { temporaryDirectory } from './testing/temporary-directory.ts'

testObjectStoreContract('the directory store', async () => {
  const directory = await temporaryDirectory()
  const store = await openStore(join(directory.path, 'repository'), { create: true })
  return { store, [Symbol.asyncDispose]: () => Promise.resolve(directory[Symbol.asyncDispose]()) }
})

test('files are for the owner alone, and nothing stays in the staging folder', async () => {
  await using directory = await temporaryDirectory()
  const root = join(directory.path, 'a', 'repository')
  const store = await openStore(root, { create: true })
  await store.create('packs/ab/one', Buffer.from('x'))
  await store.create('packs/ab/one', Buffer.from('x'))
  await store.replace('packs/ab/two', Buffer.from('x'))
  assert.equal((await stat(root)).mode & 0o777, 0o700)
  assert.equal((await stat(join(root, 'packs', 'ab'))).mode & 0o777, 0o700)
  assert.equal((await stat(join(root, 'packs', 'ab', 'one'))).mode & 0o777, 0o600)
  assert.equal((await stat(join(root, 'packs', 'ab', 'one'))).nlink, 1)
  assert.deepEqual(await readdir(join(root, STAGING)), [])
})

test('a store is opened by path or URL; what does not exist is made only when asked', async () => {
  await using directory = await temporaryDirectory()
  const root = join(directory.path, 'repository')
  await assert.rejects(openStore(root), (error) => isRetakeError(error, 'repo.missing'))
  await using store = await openStore(pathToFileURL(root).href, { create: true })
  assert.equal(store.url, root)
  await using again = await openStore(root)
  assert.equal(again.url, root)
  await writeFile(join(directory.path, 'file'), '')
  await assert.rejects(openStore(join(directory.path, 'file'), { create: true }), (error) =>
    isRetakeError(error, 'repo.missing'),
  )
  for (const url of ['', 'ftp://bucket/x', 'https://x', 'file://host/x']) {
    await assert.rejects(openStore(url), (error) => isRetakeError(error, 'config.invalid'), url)
  }
})

test('opening and reading change nothing, so a read-only copy can be restored from', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(join(directory.path, 'packs'))
  await writeFile(join(directory.path, 'packs', 'x'), 'x')
  await using store = await openStore(directory.path)
  await store.get('packs/x')
  assert.equal((await Array.fromAsync(store.list(''))).length, 1)
  assert.deepEqual(await readdir(directory.path), ['packs'])
})

test('what is no object is not listed: hidden and foreign names; linked folders are followed', async () => {
  await using directory = await temporaryDirectory()
  const store = new DirectoryStore(directory.path)
  await store.create('a', Buffer.from('x'))
  await mkdir(join(directory.path, 'lost+found'))
  await mkdir(join(directory.path, '.hidden'))
  await writeFile(join(directory.path, '.hidden', 'x'), '')
  await writeFile(join(directory.path, 'with space'), '')
  await symlink('nowhere', join(directory.path, 'dangling'))
  assert.deepEqual(
    (await Array.fromAsync(store.list(''))).map(({ key }) => key),
    ['a'],
  )
})

test('leftovers of ended processes are removed, those of living and foreign ones stay', async () => {
  await using directory = await temporaryDirectory()
  const staging = join(directory.path, STAGING)
  await mkdir(staging)
  const me = currentProcess()
  const ended = spawnSync(process.execPath, ['-e', ''])
  const names = {
    mine: stagingName(me),
    ended: stagingName({ ...me, pid: ended.pid, started: '1' }),
    reused: stagingName({ ...me, started: '1' }),
    otherHost: stagingName({ ...me, realm: '00000000', pid: ended.pid }),
    old: stagingName({ ...me, realm: '00000000', pid: 1 }),
    unknown: 'something',
  }
  for (const name of Object.values(names)) await writeFile(join(staging, name), 'left')
  const longAgo = new Date(Date.now() - 8 * 24 * 60 * 60 * 1000)
  await utimes(join(staging, names.old), longAgo, longAgo)
  // The start of a process is known on Linux only; elsewhere a reused process id counts as living.
  const isStartKnown = me.started !== ''
  assert.deepEqual(await cleanStaging(directory.path), { files: isStartKnown ? 3 : 2, bytes: isStartKnown ? 12 : 8 })
  const expected = [names.mine, names.otherHost, names.unknown, ...(isStartKnown ? [] : [names.reused])]
  assert.deepEqual((await readdir(staging)).sort(), expected.sort())
})

test('the first write of a process cleans up after others', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(join(directory.path, STAGING))
  const ended = spawnSync(process.execPath, ['-e', ''])
  const leftover = join(directory.path, STAGING, stagingName({ ...currentProcess(), pid: ended.pid, started: '1' }))
  await writeFile(leftover, 'left')
  const store = new DirectoryStore(directory.path)
  await store.create('a', Buffer.from('x'))
  assert.deepEqual(await readdir(join(directory.path, STAGING)), [])
})

test('a folder that was removed meanwhile is made again', async () => {
  await using directory = await temporaryDirectory()
  const store = new DirectoryStore(directory.path)
  await store.create('folder/below/one', Buffer.from('x'))
  await rm(join(directory.path, 'folder'), { recursive: true })
  assert.equal(await store.create('folder/below/two', Buffer.from('x')), true)
})

test('a directory that may not be written says so', async (t) => {
  if (process.getuid?.() === 0) return t.diagnostic('root may write everywhere')
  await using directory = await temporaryDirectory()
  const store = new DirectoryStore(directory.path)
  await store.create('packs/one', Buffer.from('x'))
  await chmod(join(directory.path, 'packs'), 0o500)
  try {
    await assert.rejects(store.create('packs/two', Buffer.from('x')), (error) =>
      isRetakeError(error, 'storage.read-only'),
    )
    assert.equal((await store.head('packs/one'))?.sizeBytes, 1)
  } finally {
    await chmod(join(directory.path, 'packs'), 0o700)
  }
})
