import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import { type TarEntry, TarReader } from './tar.ts'

interface Made {
  readonly name: string
  readonly type?: string
  readonly mode?: number
  readonly content?: Buffer
  readonly linkTarget?: string
  readonly prefix?: string
  /** Written in place of the content's length. */
  readonly sizeField?: Buffer
}

/** A member as PostgreSQL's tarCreateHeader writes it: NUL-terminated octal, ustar magic. */
function member(made: Made): Buffer {
  const content = made.content ?? Buffer.alloc(0)
  const header = Buffer.alloc(512)
  header.write(made.name, 0, 100)
  header.write(`${(made.mode ?? 0o600).toString(8).padStart(7, '0')}`, 100)
  header.write('0000000\x000000000', 108)
  if (made.sizeField) made.sizeField.copy(header, 124)
  else header.write(content.length.toString(8).padStart(11, '0'), 124)
  header.write((1_700_000_000).toString(8).padStart(11, '0'), 136)
  header.write(made.type ?? '0', 156)
  header.write(made.linkTarget ?? '', 157, 100)
  header.write('ustar\x0000', 257)
  header.write(made.prefix ?? '', 345, 155)
  return Buffer.concat([seal(header), content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

function seal(header: Buffer): Buffer {
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

const END = Buffer.alloc(1024)

interface Read {
  readonly entry: TarEntry
  readonly content: Buffer
}

function readAll(archive: Buffer, sizes: readonly number[] = [archive.length]): Read[] {
  const reader = new TarReader()
  const list: { entry: TarEntry; content: Buffer; ended: boolean }[] = []
  for (let position = 0, turn = 0; position < archive.length; turn++) {
    const piece = archive.subarray(position, position + (sizes[turn % sizes.length] ?? 1))
    position += piece.length
    for (const event of reader.push(piece)) {
      const last = list.at(-1)
      if (event.type === 'entry') {
        assert.ok(!last || last.ended, 'an entry begins after the one before has ended')
        list.push({ entry: event.entry, content: Buffer.alloc(0), ended: false })
      } else if (event.type === 'content') {
        assert.equal(event.bytes.buffer, archive.buffer, 'content is a view')
        last!.content = Buffer.concat([last!.content, event.bytes])
      } else last!.ended = true
    }
  }
  reader.finish()
  assert.ok(list.every((item) => item.ended))
  return list.map(({ entry, content }) => ({ entry, content }))
}

function rejects(archive: Buffer, needle: RegExp): void {
  assert.throws(
    () => readAll(archive),
    (error) => isRetakeError(error, 'postgres.protocol') && needle.test(error.message),
  )
}

describe('TarReader', () => {
  test('reads the same however the archive is cut', () => {
    const names = fc.stringMatching(/^[a-z0-9_]{1,20}(\/[a-z0-9_]{1,20}){0,3}$/)
    const members = fc.array(
      fc.record(
        {
          name: names,
          mode: fc.constantFrom(0o600, 0o700, 0o640),
          content: fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
        },
        { noNullPrototype: true },
      ),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(members, fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }), (list, sizes) => {
        const read = readAll(Buffer.concat([...list.map(member), END]), sizes)
        assert.deepEqual(
          read.map(({ entry, content }) => ({ name: entry.path, mode: entry.mode, content })),
          list,
        )
      }),
      { numRuns: 200 },
    )
  })

  test('directories, symbolic links and times', () => {
    const [directory, link] = readAll(
      Buffer.concat([
        member({ name: 'pg_tblspc/', type: '5', mode: 0o700 }),
        member({ name: 'pg_tblspc/16385', type: '2', linkTarget: '/mnt/fast disk' }),
        END,
      ]),
    )
    assert.deepEqual(directory?.entry, {
      path: 'pg_tblspc',
      type: 'directory',
      mode: 0o700,
      sizeBytes: 0,
      modifiedAtSeconds: 1_700_000_000,
      linkTarget: undefined,
    })
    assert.deepEqual(
      [link?.entry.type, link?.entry.path, link?.entry.linkTarget],
      ['symlink', 'pg_tblspc/16385', '/mnt/fast disk'],
    )
  })

  test('sizes beyond 8 GiB are in base 256', () => {
    const sizeField = Buffer.alloc(12)
    sizeField[0] = 0x80
    sizeField.writeBigUInt64BE(9n * 1024n ** 3n, 4)
    const reader = new TarReader()
    const [event] = [...reader.push(member({ name: 'big', sizeField }))]
    assert.ok(event?.type === 'entry')
    assert.equal(event.entry.sizeBytes, 9 * 1024 ** 3)
    assert.throws(() => reader.finish(), /middle of an entry/)
  })

  test('long names: ustar prefix, GNU, pax', () => {
    const long = `base/${'x'.repeat(200)}`
    const pax = Buffer.from(`${`path=${long}`.length + 5} path=${long}\n`)
    assert.equal(pax.length, `path=${long}`.length + 5)
    const read = readAll(
      Buffer.concat([
        member({ name: 'tail', prefix: 'a/b' }),
        member({ name: '././@LongLink', type: 'L', content: Buffer.from(`${long}\0`) }),
        member({ name: 'cut off', content: Buffer.from('1') }),
        member({ name: 'PaxHeader', type: 'x', content: pax }),
        member({ name: 'cut off', content: Buffer.from('2') }),
        member({ name: 'plain' }),
        END,
      ]),
      [13],
    )
    assert.deepEqual(
      read.map(({ entry, content }) => [entry.path, content.toString()]),
      [
        ['a/b/tail', ''],
        [long, '1'],
        [long, '2'],
        ['plain', ''],
      ],
    )
  })

  test('an archive without the two empty blocks is whole too', () => {
    assert.equal(readAll(member({ name: 'x', content: Buffer.from('y') })).length, 1)
  })

  for (const name of ['/etc/passwd', '../x', 'a/../../x', 'a/./b', 'a//b', './']) {
    test(`refuses the path ${name}`, () => rejects(member({ name }), /not a safe path/))
  }

  test('refuses a header whose checksum does not match', () => {
    const bytes = member({ name: 'x' })
    bytes[0] = 0x79
    rejects(bytes, /checksum/)
  })

  test('refuses kinds that a backup does not have', () => {
    rejects(member({ name: 'x', type: '1', linkTarget: 'y' }), /of a kind/)
    rejects(member({ name: 'x', type: '3' }), /of a kind/)
  })

  test('refuses an archive that is cut short, at whatever place', () => {
    const archive = member({ name: 'x', content: Buffer.alloc(700, 1) })
    for (const length of [1, 511, 513, 1024, archive.length - 1]) rejects(archive.subarray(0, length), /middle/)
  })

  test('refuses what follows after the end', () => {
    rejects(Buffer.concat([END, member({ name: 'x' })]), /after its end/)
  })
})
