import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { computeStreamTimings } from './wal-stream.ts'

describe('computeStreamTimings', () => {
  const cases: [name: string, senderTimeoutMs: number, wantedMs: number | undefined, expected: object][] = [
    ['the default', 60_000, undefined, { statusIntervalMs: 10_000, silenceLimitMs: 120_000 }],
    [
      'a short timeout on the server shortens the interval',
      2000,
      undefined,
      { statusIntervalMs: 500, silenceLimitMs: 4000 },
    ],
    ['what is asked for, where it is short enough', 60_000, 1000, { statusIntervalMs: 1000, silenceLimitMs: 120_000 }],
    [
      'never longer than a quarter of the timeout',
      60_000,
      50_000,
      { statusIntervalMs: 15_000, silenceLimitMs: 120_000 },
    ],
    [
      'a server without timeout is never taken for dead',
      0,
      undefined,
      { statusIntervalMs: 10_000, silenceLimitMs: undefined },
    ],
  ]
  for (const [name, timeout, wanted, expected] of cases) {
    test(name, () => assert.deepEqual(computeStreamTimings(timeout, wanted), expected))
  }
})
