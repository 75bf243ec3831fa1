import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { formatTarget, parseTarget, type RecoveryTarget } from './targets.ts'

test('what is not a target is refused', () => {
  const refused = [
    '',
    'now',
    '2026-11-22',
    '2026-11-22T09:04:11',
    '2026-11-22 09:04:11.5',
    '2026-02-30T09:04:11Z',
    'lsn:',
    'lsn:3000060',
    'lsn:0/G',
    'xid:',
    'xid:abc',
    'xid:-5',
    'xid:2',
    'xid:4294967296',
    'xid:18446744073709551616',
    'before-xid:0',
    'name:',
    `name:${'x'.repeat(64)}`,
    'name:a\nb',
    'time:2026-11-22T09:04:11Z',
  ]
  for (const text of refused) assert.throws(() => parseTarget(text), { code: 'target.invalid' }, text)
})

test('each kind is read', () => {
  assert.deepEqual(parseTarget(' latest '), { kind: 'latest' })
  assert.deepEqual(parseTarget('lsn:0/3000060'), { kind: 'lsn', lsn: 0x3000060n })
  assert.deepEqual(parseTarget('xid:812'), { kind: 'xid', xid: 812, inclusive: true })
  assert.deepEqual(parseTarget('before-xid:812'), { kind: 'xid', xid: 812, inclusive: false })
  assert.deepEqual(parseTarget('xid:4294968108'), { kind: 'xid', xid: 812, inclusive: true }, 'epoch 1')
  assert.deepEqual(parseTarget('name:before deploy: 7'), { kind: 'name', name: 'before deploy: 7' })
  assert.deepEqual(parseTarget('2026-11-22T10:04:11+01:00'), parseTarget('2026-11-22 09:04:11Z'))
})

test('property: a target survives being written and read', () => {
  const target: fc.Arbitrary<RecoveryTarget> = fc.oneof(
    fc.constant({ kind: 'latest' } as const),
    fc
      .bigInt({ min: 0n, max: 4_102_444_800_000_000n })
      .map((instant) => ({ kind: 'time', instant: instant as InstantMicros }) as const),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((lsn) => ({ kind: 'lsn', lsn: lsn as Lsn }) as const),
    fc
      .tuple(fc.integer({ min: 3, max: 0xffffffff }), fc.boolean())
      .map(([xid, inclusive]) => ({ kind: 'xid', xid, inclusive }) as const),
    fc.stringMatching(/^[a-z][a-z0-9_: -]{0,40}[a-z]$/).map((name) => ({ kind: 'name', name }) as const),
  )
  fc.assert(fc.property(target, (one) => assert.deepEqual(parseTarget(formatTarget(one)), one)))
})
