/** What every object store must do; run by the tests of each implementation. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import type { ListOptions, ObjectStore } from '../object-store.ts'

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: ObjectStore
}

const bytes = (text: string) => Buffer.from(text)

async function keysOf(store: ObjectStore, prefix: string, options?: ListOptions): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix, options))).map(({ key }) => key)
}

async function textOf(store: ObjectStore, key: string): Promise<string | undefined> {
  const content = await store.get(key)
  return content && Buffer.from(content).toString()
}

/** @param open makes an empty store; called once per test */
export function testObjectStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} fulfils the contract of object stores`, () => {
    testReading(open)
    testEnds(open)
    testWriting(open)
    testReplacing(open)
    testListing(open)
    testAppending(open)
  })
}

function testReading(open: () => Promise<StoreUnderTest>): void {
  test('what is not there is undefined, and is deleted in vain', async () => {
    await using subject = await open()
    const { store } = subject
    for (const key of ['a', 'a/b', 'a/b/c']) {
      assert.equal(await store.get(key), undefined)
      assert.equal(await store.get(key, { offsetBytes: 0, lengthBytes: 5 }), undefined)
      assert.equal(await store.head(key), undefined)
      assert.equal(await store.delete(key), false)
    }
    assert.deepEqual(await keysOf(store, ''), [])
  })

  test('whole objects and ranges, also past the end', async () => {
    await using subject = await open()
    const { store } = subject
    assert.equal(await store.create('folder/object', [bytes('0123'), bytes(''), bytes('456789')]), true)
    assert.equal(await textOf(store, 'folder/object'), '0123456789')
    assert.deepEqual(await store.head('folder/object'), { key: 'folder/object', sizeBytes: 10 })
    const range = async (offsetBytes: number, lengthBytes: number) =>
      Buffer.from((await store.get('folder/object', { offsetBytes, lengthBytes })) ?? 'absent').toString()
    assert.equal(await range(2, 3), '234')
    assert.equal(await range(8, 100), '89')
    assert.equal(await range(10, 5), '')
    assert.equal(await range(100, 5), '')
    assert.equal(await range(3, 0), '')
  })

  test('a folder of objects is not an object', async () => {
    await using subject = await open()
    const { store } = subject
    await store.create('folder/object', bytes('x'))
    assert.equal(await store.get('folder'), undefined)
    assert.equal(await store.head('folder'), undefined)
    assert.equal(await store.get('folder/object/below'), undefined)
  })

  test('keys that could lead out of the store are refused', async () => {
    await using subject = await open()
    const { store } = subject
    for (const key of [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '..',
      '../a',
      'a/../b',
      'a/.',
      '.staging/x',
      'a\0b',
      'ä',
      'a b',
      'x'.repeat(600),
    ]) {
      await assert.rejects(async () => store.get(key), `get ${key}`)
      await assert.rejects(async () => store.create(key, bytes('x')), `create ${key}`)
      await assert.rejects(async () => store.delete(key), `delete ${key}`)
    }
  })
}

function testEnds(open: () => Promise<StoreUnderTest>): void {
  test('the end of an object, where one request tells it with the length', async () => {
    await using subject = await open()
    const { store } = subject
    if (!store.getEnd) return
    await store.create('object', bytes('0123456789'))
    await store.create('nothing', bytes(''))
    const end = async (key: string, lengthBytes: number) => {
      const found = await store.getEnd?.(key, lengthBytes)
      return found && [found.sizeBytes, Buffer.from(found.ending).toString()]
    }
    assert.deepEqual(await end('object', 3), [10, '789'])
    assert.deepEqual(await end('object', 10), [10, '0123456789'])
    assert.deepEqual(await end('object', 64), [10, '0123456789'])
    assert.deepEqual(await end('nothing', 64), [0, ''])
    assert.equal(await end('absent', 64), undefined)
  })
}

function testWriting(open: () => Promise<StoreUnderTest>): void {
  test('create and commit never overwrite; one of twenty wins', async () => {
    await using subject = await open()
    const { store } = subject
    const commit = async (text: string) => {
      await using writer = await store.openWriter('one')
      await writer.write(bytes(text))
      return await writer.commit()
    }
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 4 === 0 ? commit(`from ${index}`) : store.create('one', bytes(`from ${index}`)),
      ),
    )
    const winner = outcomes.indexOf(true)
    assert.equal(outcomes.filter((created) => created).length, 1)
    assert.equal(await textOf(store, 'one'), `from ${winner}`)
    assert.equal(await store.create('one', bytes('later')), false)
    assert.equal(await textOf(store, 'one'), `from ${winner}`)
  })

  test('a buffer may be reused as soon as a write has resolved', async () => {
    await using subject = await open()
    const { store } = subject
    const buffer = bytes('first ')
    await using writer = await store.openWriter('reused')
    await writer.write(buffer)
    buffer.fill('second')
    await writer.write([buffer, buffer])
    buffer.fill('x')
    await writer.commit()
    assert.equal(await textOf(store, 'reused'), 'first secondsecond')
  })

  test('a writer is invisible until it commits, and leaves nothing when it does not', async () => {
    await using subject = await open()
    const { store } = subject
    {
      await using writer = await store.openWriter('pieces')
      await writer.write(bytes('never seen'))
      assert.equal(await store.head('pieces'), undefined)
      assert.deepEqual(await keysOf(store, ''), [])
    }
    assert.deepEqual(await keysOf(store, ''), [])
    await using writer = await store.openWriter('pieces')
    for (let index = 0; index < 1000; index++) await writer.write([bytes(`${index},`), bytes(';')])
    assert.equal(await writer.commit(), true)
    assert.equal((await textOf(store, 'pieces'))?.length, 1000 + 2890 + 1000)
  })

  test('a commit onto an existing key is refused and leaves the object', async () => {
    await using subject = await open()
    const { store } = subject
    await using writer = await store.openWriter('taken')
    await writer.write(bytes('late'))
    await store.create('taken', bytes('early'))
    assert.equal(await writer.commit(), false)
    assert.equal(await textOf(store, 'taken'), 'early')
  })
}

function testReplacing(open: () => Promise<StoreUnderTest>): void {
  test('replace writes and overwrites; delete removes', async () => {
    await using subject = await open()
    const { store } = subject
    await store.replace('a/position', bytes('1'))
    await store.replace('a/position', [bytes('2'), bytes('3')])
    assert.equal(await textOf(store, 'a/position'), '23')
    assert.equal(await store.delete('a/position'), true)
    assert.equal(await store.delete('a/position'), false)
    assert.equal(await store.create('a/position', bytes('again')), true)
  })

  test('a reader never sees a mixture while an object is replaced', async () => {
    await using subject = await open()
    const { store } = subject
    const contents = ['a'.repeat(50_000), 'b'.repeat(70_000)]
    await store.replace('p', bytes(contents[0] as string))
    let writing = true
    const writer = (async () => {
      for (let index = 0; index < 40; index++) await store.replace('p', bytes(contents[index % 2] as string))
      writing = false
    })()
    do {
      const seen = await textOf(store, 'p')
      assert.ok(contents.includes(seen ?? ''), `a mixture of ${seen?.length} bytes`)
    } while (writing)
    await writer
  })
}

function testListing(open: () => Promise<StoreUnderTest>): void {
  const keys = ['a-b', 'a.b', 'a/b', 'a/b.c', 'a/b0/x', 'a/c/d/e', 'a0', 'aB', 'b/1', 'b/10', 'b/2', 'c']

  test('keys come in byte order, by prefix, with their sizes', async () => {
    await using subject = await open()
    const { store } = subject
    for (const key of keys.toReversed()) await store.create(key, bytes(key))
    const sorted = keys.toSorted()
    assert.deepEqual(await keysOf(store, ''), sorted)
    for (const prefix of ['a', 'a/', 'a/b', 'a/b0', 'a/c/d', 'b/1', 'c', 'd', 'a/b/', 'b/1/']) {
      assert.deepEqual(
        await keysOf(store, prefix),
        sorted.filter((key) => key.startsWith(prefix)),
        prefix,
      )
    }
    for await (const { key, sizeBytes } of store.list('')) assert.equal(sizeBytes, key.length)
  })

  test('a listing can begin after any key', async () => {
    await using subject = await open()
    const { store } = subject
    for (const key of keys) await store.create(key, bytes(key))
    for (const startAfter of [...keys, 'a/', 'a/~', 'a/b0/', 'b/', 'b/1', 'zz', '0']) {
      const expected = keys.toSorted().filter((key) => key > startAfter)
      assert.deepEqual(await keysOf(store, '', { startAfter }), expected, startAfter)
      assert.deepEqual(
        await keysOf(store, 'a/', { startAfter }),
        expected.filter((key) => key.startsWith('a/')),
        startAfter,
      )
    }
  })

  test('many objects in one folder; a listing may be left early', async () => {
    await using subject = await open()
    const { store } = subject
    const many = Array.from({ length: 300 }, (_, index) => `many/${index.toString().padStart(4, '0')}`)
    await Promise.all(many.map((key) => store.create(key, bytes('x'))))
    assert.deepEqual(await keysOf(store, 'many/'), many)
    for await (const { key } of store.list('many/')) {
      assert.equal(key, 'many/0000')
      break
    }
  })
}

function testAppending(open: () => Promise<StoreUnderTest>): void {
  test('an appended object is visible while it grows', async (t) => {
    await using subject = await open()
    const { store } = subject
    if (!store.openAppender) return t.diagnostic('this storage cannot append')
    {
      await using appender = await store.openAppender('wal/tail')
      assert.deepEqual(await store.head('wal/tail'), { key: 'wal/tail', sizeBytes: 0 })
      await appender.append(bytes('one'))
      await appender.sync()
      assert.equal(await textOf(store, 'wal/tail'), 'one')
      await appender.append([bytes(' two'), bytes(' three')])
      await appender.append(bytes('!'))
      await appender.sync()
      assert.equal(await textOf(store, 'wal/tail'), 'one two three!')
    }
    assert.equal(await textOf(store, 'wal/tail'), 'one two three!')
    await assert.rejects(store.openAppender('wal/tail'), (error) => isRetakeError(error, 'repo.conflict'))
    assert.equal(await store.create('wal/tail', bytes('x')), false)
  })

  test('a closed appender refuses, and can be closed again', async (t) => {
    await using subject = await open()
    const { store } = subject
    if (!store.openAppender) return t.diagnostic('this storage cannot append')
    const appender = await store.openAppender('tail')
    await appender[Symbol.asyncDispose]()
    await appender[Symbol.asyncDispose]()
    await assert.rejects(appender.append(bytes('x')))
    await assert.rejects(appender.sync())
    assert.equal(await textOf(store, 'tail'), '')
  })
}
