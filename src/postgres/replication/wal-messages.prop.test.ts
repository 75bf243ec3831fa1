import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { formatInstant, type InstantMicros } from '../../base/instant.ts'
import { type Lsn, parseLsn } from '../lsn.ts'
import type { CopyPiece } from './message-reader.ts'
import { parseDurationMs, statusMessage, WalMessageReader, type WalStreamEvent } from './wal-messages.ts'

const START = parseLsn('1/FFFFFF00')
const CLOCK = 827_000_000_000_000n

function xlogData(startLsn: bigint, payload: Buffer): Buffer {
  const header = Buffer.alloc(25)
  header.write('w', 'latin1')
  header.writeBigUInt64BE(startLsn, 1)
  header.writeBigUInt64BE(startLsn + 1000n, 9)
  header.writeBigInt64BE(CLOCK, 17)
  return Buffer.concat([header, payload])
}

function keepalive(endLsn: bigint, reply: boolean): Buffer {
  const message = Buffer.alloc(18)
  message.write('k', 'latin1')
  message.writeBigUInt64BE(endLsn, 1)
  message.writeBigInt64BE(CLOCK, 9)
  message[17] = reply ? 1 : 0
  return message
}

function* cut(message: Buffer, sizes: readonly number[]): Generator<CopyPiece> {
  for (let position = 0, turn = 0; position < message.length; turn++) {
    const end = Math.min(message.length, position + (sizes[turn % sizes.length] ?? 1))
    yield { kind: 'copy', bytes: message.subarray(position, end), first: position === 0, last: end === message.length }
    position = end
  }
}

describe('WalMessageReader', () => {
  test('hands over all bytes at their places, however messages and headers are cut', () => {
    const parts = fc.array(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.boolean(),
      ),
      { maxLength: 10 },
    )
    fc.assert(
      fc.property(parts, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (list, sizes) => {
        const reader = new WalMessageReader(START)
        let sent: bigint = START
        const data: Buffer[] = []
        const replies: boolean[] = []
        for (const part of list) {
          const message = typeof part === 'boolean' ? keepalive(sent, part) : xlogData(sent, part)
          for (const piece of cut(message, sizes)) {
            const event = reader.take(piece)
            if (event?.type === 'data') {
              assert.equal(event.startLsn, START + BigInt(Buffer.concat(data).length))
              assert.equal(event.serverEndLsn, sent + 1000n)
              data.push(event.bytes)
            } else if (event) {
              assert.equal(event.serverEndLsn, sent)
              replies.push(event.replyRequested)
            }
          }
          if (typeof part !== 'boolean') sent += BigInt(part.length)
        }
        assert.deepEqual(Buffer.concat(data), Buffer.concat(list.filter((part) => typeof part !== 'boolean')))
        assert.deepEqual(
          replies,
          list.filter((part) => typeof part === 'boolean'),
        )
        assert.equal(reader.position, sent)
      }),
      { numRuns: 300 },
    )
  })

  test('the clock of the server', () => {
    const reader = new WalMessageReader(START)
    const events = [...cut(xlogData(START, Buffer.from('x')), [99])].map((piece) =>
      reader.take(piece),
    ) as WalStreamEvent[]
    assert.equal(formatInstant(events[0]!.serverTime), '2026-03-16T18:13:20.000Z')
  })

  const refused: [name: string, message: Buffer][] = [
    ['a hole', xlogData(START + 1n, Buffer.from('x'))],
    ['a repetition', xlogData(START - 1n, Buffer.from('x'))],
    ['a message that is cut short', keepalive(START, false).subarray(0, 9)],
    ['an unknown kind', Buffer.from('x123')],
  ]
  for (const [name, message] of refused) {
    test(`refuses ${name}`, () => {
      const reader = new WalMessageReader(START)
      assert.throws(
        () => [...cut(message, [7])].map((piece) => reader.take(piece)),
        (error) => isRetakeError(error, 'postgres.protocol'),
      )
    })
  }
})

test('a status update, byte for byte', () => {
  const message = statusMessage({
    writeLsn: 0x1_0000_0002n as Lsn,
    flushLsn: 0x3n as Lsn,
    at: (946_684_800_000_000n + 5n) as InstantMicros,
    replyRequested: true,
  })
  assert.equal(
    message.toString('hex'),
    `64${'00000026'}72${'0000000100000002'}${'0000000000000003'}${'0000000000000000'}${'0000000000000005'}01`,
  )
})

describe('parseDurationMs', () => {
  const table: [string, number][] = [
    ['0', 0],
    ['1min', 60_000],
    ['2s', 2000],
    ['500ms', 500],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['90', 90],
  ]
  for (const [text, ms] of table) test(text, () => assert.equal(parseDurationMs(text), ms))
  test('anything else is refused', () => assert.throws(() => parseDurationMs('soon')))
})
