/** Lists while they change: whoever reads them to the end meets each item that was there all the time once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { eachItem } from './client/client.ts'
import { compareSortKeys, decodeCursor, encodeCursor, type SortKey, takePage } from './pages.ts'

interface Item {
  readonly at: string
  readonly id: string
}

const item = fc.record({
  // Few times, so that many items share one.
  at: fc.integer({ min: 0, max: 5 }).map((second) => `2026-11-23T02:00:0${second}.000Z`),
  id: fc.stringMatching(/^[a-z]{1,4}$/),
})
const keyOf = ({ at, id }: Item): SortKey => [at, id]
const change = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), item }),
  fc.record({ kind: fc.constant('remove' as const), index: fc.nat() }),
)

test('no item twice, none that stayed lost, and all in order, while items come and go between the pages', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(item, { selector: (one) => keyOf(one).join(), maxLength: 40 }),
      fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('ascending' as const, 'descending' as const),
      async (initial, rounds, limit, order) => {
        let items: readonly Item[] = initial
        const stayed = new Set(initial)
        const left = [...rounds]
        const read: Item[] = []
        const pages = eachItem(async (cursor) => {
          const page = takePage(items, { cursor, limit, keyOf, order })
          assert(page.items.length <= limit)
          for (const one of left.shift() ?? []) {
            if (one.kind === 'add') {
              const isThere = [...items, ...read].some((other) => compareSortKeys(keyOf(other), keyOf(one.item)) === 0)
              if (!isThere) items = [one.item, ...items]
            } else if (items.length > 0) {
              const gone = items[one.index % items.length]!
              stayed.delete(gone)
              items = items.filter((other) => other !== gone)
            }
          }
          return page
        })
        for await (const one of pages) read.push(one)
        assert.equal(new Set(read.map((one) => keyOf(one).join())).size, read.length, 'an item came twice')
        for (const one of stayed) assert(read.includes(one), 'an item was lost')
        const sign = order === 'ascending' ? 1 : -1
        for (const [index, one] of read.slice(1).entries()) {
          assert(sign * compareSortKeys(keyOf(read[index]!), keyOf(one)) < 0, 'out of order')
        }
      },
    ),
  )
})

test('a cursor is what it was made of, and anything else is refused', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 4 }), (key) => {
      const cursor = encodeCursor(key)
      assert.match(cursor, /^[\w-]+$/)
      assert.deepEqual(decodeCursor(cursor), key)
    }),
  )
  for (const cursor of [
    '',
    'abc',
    encodeCursor([]),
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ]) {
    assert.throws(() => decodeCursor(cursor), { code: 'api.invalid' })
  }
})
