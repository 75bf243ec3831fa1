import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { parseControlFile } from './control-file.ts'
import { crc32c } from './crc32c.ts'

/** A control file with nothing in it but what the layout check needs, and a right checksum. */
function controlFile(version: number, crcOffset: number, change: (file: Buffer) => void = () => {}): Buffer {
  const file = Buffer.alloc(8192)
  file.writeBigUInt64LE(7710949471427044742n, 0)
  file.writeUInt32LE(version, 8)
  file.writeUInt32LE(202406281, 12)
  file.writeUInt32LE(8, 204)
  file.writeDoubleLE(1234567, 208)
  change(file)
  file.writeUInt32LE(crc32c(file.subarray(0, crcOffset)), crcOffset)
  return file
}

describe('parseControlFile', () => {
  test('reads the layouts of 13 to 16, 17 and 18', () => {
    for (const [version, crcOffset] of [
      [1300, 288],
      [1700, 288],
      [1800, 292],
    ] as const) {
      const control = parseControlFile(controlFile(version, crcOffset))
      assert.equal(control.controlVersion, version)
      assert.equal(control.systemIdentifier, '7710949471427044742')
      assert.equal(control.major, 17)
    }
  })

  test('does not name a major for a catalog version that was never released', () => {
    const file = controlFile(1800, 292, (bytes) => bytes.writeUInt32LE(202501011, 12))
    assert.equal(parseControlFile(file).major, undefined)
  })

  test('refuses every flipped byte up to the checksum', () => {
    const file = controlFile(1700, 288)
    for (let at = 0; at < 292; at += 1) {
      const damaged = Buffer.from(file)
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at)
      assert.throws(
        () => parseControlFile(damaged),
        (error) => isRetakeError(error),
        `byte ${at}`,
      )
    }
  })

  test('tells an unknown version, another machine and a short file apart', () => {
    assert.throws(() => parseControlFile(controlFile(1900, 292)), /version 1900/)
    const swapped = controlFile(1700, 288, (bytes) => bytes.writeUInt32BE(1700, 8))
    assert.throws(() => parseControlFile(swapped), /big-endian/)
    const packed = controlFile(1700, 288, (bytes) => bytes.writeUInt32LE(4, 204))
    assert.throws(
      () => parseControlFile(packed),
      (error) => isRetakeError(error, 'postgres.unsupported'),
    )
    assert.throws(() => parseControlFile(Buffer.alloc(100)), /only 100 bytes/)
    const state = controlFile(1700, 288, (bytes) => bytes.writeUInt32LE(99, 16))
    assert.throws(() => parseControlFile(state), /its state is 99/)
  })
})
