import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTimelineHistory } from '../../postgres/timeline.ts'
import { ancestorHistory, samePast } from './history-keeper.ts'

const second = '1\t0/3000000\tno recovery target specified\n'
// As the server writes it: the parent's file, an empty line, the new line.
const third = `${second}\n2\t0/5000110\tbefore 2026-11-22 09:04:11+00\n`

test("an ancestor's history is the beginning of its descendant's", () => {
  assert.equal(ancestorHistory(third, 2), second)
  assert.deepEqual(parseTimelineHistory(2, ancestorHistory(third, 2)).entries, parseTimelineHistory(2, second).entries)
})

test('the past is where timelines were left, whatever reasons are written beside it', () => {
  const own = parseTimelineHistory(3, third)
  assert.ok(samePast(own, parseTimelineHistory(3, third.replaceAll('no recovery target specified', 'other words'))))
  assert.ok(!samePast(own, parseTimelineHistory(3, third.replace('0/5000110', '0/5000118'))))
  assert.ok(!samePast(own, parseTimelineHistory(3, second)))
})
