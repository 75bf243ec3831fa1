import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { COPY_DATA, MessageReader } from './message-reader.ts'

interface Message {
  readonly code: number
  readonly body: Buffer
}

const messages = fc.array(
  fc.record(
    {
      code: fc.constantFrom(COPY_DATA, COPY_DATA, ...Buffer.from('CDEHTZ')),
      body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 12 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40 })

function encode(list: readonly Message[]): Buffer {
  return Buffer.concat(
    list.map(({ code, body }) => {
      const header = Buffer.alloc(5)
      header[0] = code
      header.writeUInt32BE(body.length + 4, 1)
      return Buffer.concat([header, body])
    }),
  )
}

/** Cuts into pieces whose sizes are given in turn, over and over. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let position = 0, turn = 0; position < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(position, position + size)
    position += size
  }
}

describe('MessageReader', () => {
  test('gives the same messages however the stream is cut, and never copies CopyData', () => {
    fc.assert(
      fc.property(messages, cuts, (list, sizes) => {
        const reader = new MessageReader()
        const got: Message[] = []
        let open: Buffer[] | undefined
        for (const chunk of pieces(encode(list), sizes)) {
          reader.push(chunk)
          for (let piece = reader.next(); piece; piece = reader.next()) {
            if (piece.kind === 'message') {
              assert.equal(open, undefined, 'a message inside CopyData')
              got.push({ code: piece.code, body: Buffer.from(piece.body) })
              continue
            }
            assert.equal(piece.first, open === undefined)
            assert.equal(piece.bytes.buffer, chunk.buffer, 'a view on the chunk')
            open = [...(open ?? []), piece.bytes]
            if (!piece.last) continue
            got.push({ code: COPY_DATA, body: Buffer.concat(open) })
            open = undefined
          }
        }
        assert.equal(open, undefined)
        assert.deepEqual(got, list)
      }),
      { numRuns: 500 },
    )
  })

  test('a message in two chunks comes in two pieces', () => {
    const reader = new MessageReader()
    const bytes = encode([{ code: COPY_DATA, body: Buffer.alloc(100, 7) }])
    reader.push(bytes.subarray(0, 65))
    const first = reader.next()
    assert.equal(reader.next(), undefined)
    reader.push(bytes.subarray(65))
    const second = reader.next()
    assert.ok(first?.kind === 'copy' && second?.kind === 'copy')
    assert.deepEqual([first.bytes.length, first.first, first.last], [60, true, false])
    assert.deepEqual([second.bytes.length, second.first, second.last], [40, false, true])
  })

  test('what is not PostgreSQL is refused instead of being waited for', () => {
    for (const bytes of ['E\0\0\0\x03', 'HTTP/1.1 400 Bad Request']) {
      const reader = new MessageReader()
      reader.push(Buffer.from(bytes, 'latin1'))
      assert.throws(
        () => reader.next(),
        (error) => isRetakeError(error, 'postgres.protocol'),
      )
    }
  })
})
