import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeOrderedId, timeOrderedIdAfter } from './ids.ts'

test('ids sort in their order, within a second and with a clock that was set back', () => {
  const now = new Date('2026-11-22T23:59:59.900Z')
  assert.match(timeOrderedId(now), /^20261122T235959Z-[0-9a-f]{8}$/)
  let last: string | undefined
  for (const at of [now, now, new Date('2026-11-22T12:00:00Z'), now]) {
    const id = timeOrderedIdAfter(at, last)
    assert.ok(last === undefined || id > last, `${id} after ${last}`)
    last = id
  }
  assert.match(last ?? '', /^20261123T000002Z-/)
  assert.match(timeOrderedIdAfter(new Date('2026-11-24T00:00:00Z'), last), /^20261124T000000Z-/)
})
