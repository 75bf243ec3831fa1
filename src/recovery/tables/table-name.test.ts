import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { formatTable, parseTableName, quoteTable } from './table-name.ts'

test('names are read as SQL reads them', () => {
  for (const [text, schema, table] of [
    ['reviews', 'public', 'reviews'],
    ['Shop.Reviews', 'shop', 'reviews'],
    ['"My Schema"."T""x"', 'My Schema', 'T"x'],
    ['shop."a.b"', 'shop', 'a.b'],
  ] as const)
    assert.deepEqual(parseTableName(text), { schema, table })
  for (const text of ['', 'a.b.c', '"a', 'a b', '.a', 'a.']) {
    assert.throws(
      () => parseTableName(text),
      (error) => isRetakeError(error, 'config.invalid'),
      text,
    )
  }
})

test('what is shown and what SQL gets are read back as the same table', () => {
  const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0'))
  fc.assert(
    fc.property(name, name, (schema, table) => {
      assert.deepEqual(parseTableName(quoteTable({ schema, table })), { schema, table })
      assert.deepEqual(parseTableName(formatTable({ schema, table })), { schema, table })
    }),
  )
})
