import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAhead } from './read-ahead.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']

/** Files whose pieces are their name, twice. Says what was opened, and what was closed before its end. */
function sourceOf(broken?: string) {
  const opened: string[] = []
  const closed: string[] = []
  const source = {
    sequence: NAMES,
    open: async (name: string) => {
      opened.push(name)
      if (name === broken) throw new Error(`${name} is broken`)
      if (name === 'absent') return undefined
      return (async function* () {
        let isRead = false
        try {
          yield Buffer.from(name)
          yield Buffer.from(name)
          isRead = true
        } finally {
          if (!isRead) closed.push(name)
        }
      })()
    },
  }
  return { source, opened, closed }
}

async function read(source: ReturnType<typeof readAhead>, name: string): Promise<string | undefined> {
  const content = await source.open(name)
  return content && Buffer.concat(await Array.fromAsync(content)).toString()
}

test('the next files are begun with the one that is asked for, each once, and all come out as they are', async () => {
  const { source, opened } = sourceOf()
  const ahead = readAhead(source, { files: 2 })
  assert.deepEqual([...ahead.sequence], NAMES)
  assert.equal(await read(ahead, 'a'), 'aa')
  assert.deepEqual(opened, ['a', 'b', 'c'])
  for (const name of ['b', 'c', 'd', 'e']) assert.equal(await read(ahead, name), name.repeat(2))
  assert.deepEqual(opened, NAMES)
  assert.equal(await read(ahead, 'absent'), undefined)
})

test('asked out of turn, what was begun in vain is closed, and may be read again', async () => {
  const { source, opened, closed } = sourceOf()
  const ahead = readAhead(source, { files: 1 })
  assert.equal(await read(ahead, 'a'), 'aa')
  assert.equal(await read(ahead, 'd'), 'dd')
  assert.deepEqual(opened, ['a', 'b', 'd', 'e'])
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(closed, ['b'])
  assert.equal(await read(ahead, 'b'), 'bb')
})

test('what cannot be read is told to whoever asks for it, and to nobody before', async () => {
  const { source } = sourceOf('b')
  const ahead = readAhead(source, { files: 2 })
  assert.equal(await read(ahead, 'a'), 'aa')
  await assert.rejects(read(ahead, 'b'), /b is broken/)
  assert.equal(await read(ahead, 'c'), 'cc')
})
