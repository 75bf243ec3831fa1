import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LastVerification, succeeds } from './last-verification.ts'

const found = (depth: 'quick' | 'deep', errors: number): LastVerification => ({
  at: '2026-11-23T12:00:00.000Z',
  depth,
  errors,
  lostBackups: [],
})

test('damage stands until a verification that reads as much finds it gone', () => {
  const cases: [LastVerification, LastVerification | undefined, boolean][] = [
    [found('quick', 0), undefined, true],
    [found('quick', 0), found('deep', 0), true],
    [found('quick', 0), found('quick', 1), true],
    [found('deep', 0), found('deep', 1), true],
    [found('quick', 1), found('deep', 1), true],
    [found('quick', 0), found('deep', 1), false],
  ]
  for (const [now, before, expected] of cases) {
    assert.equal(succeeds(now, before), expected, JSON.stringify([now, before]))
  }
})
