import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longReplay } from './plan-warnings.ts'

test('a long replay up to the newest moment is told, with what makes it shorter', () => {
  const hour = { replayMs: 3_600_000 }
  assert.match(longReplay({ kind: 'latest' }, hour) ?? '', /about 60 minutes\. .* retake backup$/)
  // What is asked for lies before any backup that could be made now.
  assert.equal(longReplay({ kind: 'time' }, hour), undefined)
  assert.equal(longReplay({ kind: 'latest' }, { replayMs: 60_000 }), undefined)
})
