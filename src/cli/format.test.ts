import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAgo, formatBytes, formatDuration, renderFields, renderTable, wrap } from './format.ts'

test('bytes', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 12_600_000, 400 * 1024 ** 2, 5n * 1024n ** 4n].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.00 KiB',
    '1.50 KiB',
    '12.0 MiB',
    '400 MiB',
    '5.00 TiB',
  ])
})

test('durations', () => {
  assert.deepEqual([0, 999, 1000, 12_340, 59_960, 65_000, 3_600_000, 7_620_000, 100_000_000].map(formatDuration), [
    '0 ms',
    '999 ms',
    '1.0 s',
    '12.3 s',
    '1 min 00 s',
    '1 min 05 s',
    '1 h 00 min',
    '2 h 07 min',
    '1 d 3 h',
  ])
})

test('an instant ahead of our clock is not called past', () => {
  const now = new Date('2026-11-22T09:00:00Z')
  assert.equal(formatAgo(new Date('2026-11-22T08:58:50Z'), now), '1 min 10 s ago')
  assert.equal(formatAgo(new Date('2026-11-22T09:00:05Z'), now), "5.0 s ahead of this machine's clock")
})

test('a table aligns its columns and leaves no blanks at the end', () => {
  const table = renderTable(
    [
      { name: 'a', size: 5 },
      { name: 'long name', size: 12345 },
    ],
    [
      { title: 'SIZE', align: 'right', value: ({ size }) => String(size) },
      { title: 'NAME', value: ({ name }) => name },
    ],
  )
  assert.equal(table, ' SIZE  NAME\n    5  a\n12345  long name')
})

test('fields leave out what is undefined and indent further lines', () => {
  assert.equal(
    renderFields([
      ['a', 'x'],
      ['bcd', undefined],
      ['ef', 'y\nz'],
    ]),
    'a   x\nef  y\n    z',
  )
})

test('wrap breaks at blanks and keeps long words whole', () => {
  assert.deepEqual(wrap('aa bb cc', 5), ['aa bb', 'cc'])
  assert.deepEqual(wrap('aaaaaaaa b', 5), ['aaaaaaaa', 'b'])
})
