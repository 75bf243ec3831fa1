/** A watcher that comes and goes sees every change in order, or is told that it may have missed some. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChangeFeed } from './change-feed.ts'

const step = fc.oneof(
  fc.record({ kind: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant('read' as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant('reconnect' as const), count: fc.constant(0) }),
)

test('nothing is missed without a word, whenever it comes and however slowly it reads', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), async (steps, capacity) => {
      const feed = new ChangeFeed<number>({ epoch: 'e', capacity, reset: () => -1 })
      let controller = new AbortController()
      let watcher = feed.watch({ signal: controller.signal })
      let published = 0
      let read = 0
      let after: string | undefined
      let pending: ReturnType<typeof watcher.next> | undefined
      const take = async (next: ReturnType<typeof watcher.next>) => {
        const { value } = await next
        assert(value)
        after = value.id
        if (value.value === -1) {
          assert(published - read > capacity, 'a reset without need')
          read = published
        } else assert.equal(value.value, ++read)
      }
      // From the first look on it counts as watching.
      pending = watcher.next()
      for (const { kind, count } of steps) {
        if (kind === 'publish') {
          for (let index = 0; index < count; index++) feed.publish(++published)
          if (pending) await take(pending)
          pending = undefined
        } else if (kind === 'read') {
          for (let index = 0; index < count && read < published; index++) await take(watcher.next())
        } else if (after !== undefined) {
          controller.abort()
          await watcher.return()
          assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
          controller = new AbortController()
          watcher = feed.watch({ after, signal: controller.signal })
        }
      }
      while (read < published) await take(pending ?? watcher.next())
      const last = pending ?? watcher.next()
      assert.equal(getEventListeners(controller.signal, 'abort').length, 1, 'an earlier wait left its listener')
      controller.abort()
      assert.equal((await last).done, true)
      assert.equal(feed.waiting, 0)
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    }),
  )
})
