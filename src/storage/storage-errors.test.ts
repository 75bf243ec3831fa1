import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import { type StorageFailure, storageError } from './storage-errors.ts'

const failure = { action: 'Writing', object: 'packs/ab/x', url: '/repo' } as const

function codeOf(systemCode: string, facts: StorageFailure = failure): string {
  const error = storageError(Object.assign(new Error('low level'), { code: systemCode }), facts)
  assert.ok(error.message.includes(facts.object) && error.message.includes('/repo'), error.message)
  assert.equal(error.details.systemCode, systemCode)
  return `${error.code} ${error.retry}`
}

test('system errors become what they mean for the repository', () => {
  assert.equal(codeOf('ENOSPC'), 'storage.full later')
  assert.equal(codeOf('EDQUOT'), 'storage.full later')
  assert.equal(codeOf('EROFS'), 'storage.read-only never')
  assert.equal(codeOf('EACCES'), 'storage.read-only never')
  assert.equal(codeOf('EPERM'), 'storage.read-only never')
  assert.equal(codeOf('ENOTSUP'), 'storage.failed never')
  assert.equal(codeOf('EIO'), 'storage.failed later')
  assert.equal(codeOf('EMFILE', { ...failure, action: 'Listing' }), 'storage.failed later')
})

test('an error that is already one of ours stays as it is', () => {
  const error = new RetakeError('repo.conflict', 'x')
  assert.equal(storageError(error, failure), error)
})
