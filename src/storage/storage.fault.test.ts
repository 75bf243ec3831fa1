import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DirectoryStore } from './directory-store.ts'
import { createMemoryStore } from './memory-store.ts'
import { STAGING } from './staging.ts'
import { FaultyStore } from './testing/faulty-store.ts'
import { temporaryDirectory } from './testing/temporary-directory.ts'

test('the faulty store fails where it is told to, and complains when it was not reached', async () => {
  const store = new FaultyStore(createMemoryStore())
  const error = new Error('planned')
  store
    .plan('create', { after: 1, error })
    .plan('commit', { errorAfter: error })
    .plan('append', { partialBytes: 2, error })
  await store.create('a', Buffer.from('x'))
  assert.throws(() => store.assertAllHit(), /create, commit, append/)
  await assert.rejects(store.create('b', Buffer.from('x')), error)
  assert.equal(await store.head('b'), undefined)
  await using writer = await store.openWriter('c')
  await assert.rejects(writer.commit(), error)
  assert.ok(await store.head('c'), 'it happened, and only the answer was lost')
  assert.ok(store.openAppender)
  await using appender = await store.openAppender('d')
  await assert.rejects(appender.append([Buffer.from('1'), Buffer.from('234')]), error)
  assert.equal(Buffer.from((await store.get('d')) ?? []).toString(), '12')
  store.assertAllHit()
})

/** Writes objects whose content tells whether it is whole, until it is killed. */
const WRITER = `
  const { DirectoryStore } = await import(process.argv[1])
  const store = new DirectoryStore(process.argv[2])
  process.stdout.write('ready')
  for (let index = 0; ; index++) {
    const text = String(index).padStart(8, '0')
    await using writer = await store.openWriter('objects/' + text)
    for (let piece = 0; piece < 50; piece++) await writer.write(Buffer.from(text.repeat(100)))
    await writer.commit()
    await store.replace('position', Buffer.from(text.repeat(100)))
  }`

test('a killed writer leaves whole objects, and its leftovers are removed by the next one', async () => {
  await using directory = await temporaryDirectory()
  let seen = 0
  for (let round = 0; round < 5; round++) {
    const child = startWriter(directory.path)
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60))
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    const store = new DirectoryStore(directory.path)
    for await (const { key } of store.list('')) {
      const text = Buffer.from((await store.get(key)) ?? []).toString()
      const [piece, count] = key === 'position' ? [text.slice(0, 8), 100] : [key.slice(-8), 5000]
      assert.ok(text.length > 0 && text === piece.repeat(count), `${key} is not whole`)
      seen += 1
      await store.delete(key)
    }
    await store.create('after', Buffer.from('x'))
    await store.delete('after')
    assert.deepEqual(await readdir(join(store.root, STAGING)), [])
  }
  assert.ok(seen > 0, 'the writers have written something')
})

function startWriter(root: string): ChildProcess {
  const module = fileURLToPath(new URL('./directory-store.ts', import.meta.url))
  const script = `await (await import('node:fs/promises')).mkdir(process.argv[2], { recursive: true });${WRITER}`
  return spawn(process.execPath, ['--input-type=module', '-e', script, module, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
