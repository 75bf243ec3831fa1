import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { baseBackupCommand } from './base-backup.ts'

const options = { label: 'nightly', fastCheckpoint: true, verifyChecksums: true }

describe('baseBackupCommand', () => {
  test('says everything that has a default on the server', () => {
    assert.equal(
      baseBackupCommand(options),
      "BASE_BACKUP (LABEL 'nightly', PROGRESS true, CHECKPOINT 'fast', WAL false, WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', VERIFY_CHECKSUMS true, TABLESPACE_MAP false)",
    )
  })

  test('a label cannot leave its quotes', () => {
    assert.match(
      baseBackupCommand({ ...options, label: "x', WAL true, LABEL 'y" }),
      /LABEL 'x'', WAL true, LABEL ''y',/,
    )
  })

  test('a rate', () => {
    assert.match(baseBackupCommand({ ...options, maxRateKiB: 1024 }), /, MAX_RATE 1024\)$/)
  })

  for (const refused of [{ maxRateKiB: 31 }, { maxRateKiB: 33.5 }, { label: 'a\0b' }]) {
    test(`refuses ${JSON.stringify(refused)}`, () => {
      assert.throws(
        () => baseBackupCommand({ ...options, ...refused }),
        (error) => isRetakeError(error, 'config.invalid'),
      )
    })
  }
})
