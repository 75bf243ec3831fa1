import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { decodeColumns, decodeRow, decodeServerMessage, queryMessage, singleRow } from './messages.ts'

// As PostgreSQL 17 sent them.
const errorBody = Buffer.from(
  'SFEHLER\0VERROR\0C58P01\0Mcould not open file "pg_wal/00000009.history"\0Fwalsender.c\0L600\0RSendTimeLineHistory\0\0',
)
const columnsBody = Buffer.from(
  '0004' +
    '73797374656d696400000000000000000000' +
    '19ffffffffffff0000' +
    '74696d656c696e6500000000000000000000' +
    '140008ffffffff0000' +
    '786c6f67706f7300000000000000000000' +
    '19ffffffffffff0000' +
    '64626e616d6500000000000000000000' +
    '19ffffffffffff0000',
  'hex',
)

describe('messages of the server', () => {
  test('an error: the severity that is not translated, SQLSTATE, routine', () => {
    assert.deepEqual(decodeServerMessage(errorBody), {
      severity: 'ERROR',
      sqlState: '58P01',
      message: 'could not open file "pg_wal/00000009.history"',
      detail: undefined,
      hint: undefined,
      routine: 'SendTimeLineHistory',
    })
  })

  test('column names', () => {
    assert.deepEqual(decodeColumns(columnsBody), ['systemid', 'timeline', 'xlogpos', 'dbname'])
  })

  test('a row with a NULL; its values do not alias the message', () => {
    const body = Buffer.from('0003' + '00000001' + '31' + 'ffffffff' + '00000000', 'hex')
    const row = decodeRow(body)
    body.fill(0)
    assert.deepEqual(row, [Buffer.from('1'), null, Buffer.alloc(0)])
  })

  test('a row that is cut short is refused', () => {
    assert.throws(
      () => decodeRow(Buffer.from('0001' + '00000009' + '31', 'hex')),
      (error) => isRetakeError(error, 'postgres.protocol'),
    )
  })

  test('values by column', () => {
    const value = singleRow({ columns: ['a', 'b'], rows: [[Buffer.from('1'), null]] }, 'TEST')
    assert.deepEqual([value('a'), value('b'), value('c')], ['1', undefined, undefined])
  })
})

test('a query is length-prefixed and ends with NUL, counted in bytes', () => {
  assert.equal(queryMessage('ä').toString('hex'), `51${'00000007'}c3a400`)
})
