import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverEnvironment } from './environment.ts'

test('a server sees nothing of our secrets and settings', () => {
  const ours = {
    PATH: '/usr/bin',
    TZ: 'UTC',
    RETAKE_KEY: 'secret',
    PGPASSWORD: 'secret',
    PGDATA: '/other',
    LANG: 'de_DE.UTF-8',
  }
  assert.deepEqual(serverEnvironment(ours), { PATH: '/usr/bin', TZ: 'UTC', LC_ALL: 'C', LANG: 'C' })
  assert.equal(serverEnvironment(ours, { RETAKE_SPOOL: '/spool' }).RETAKE_SPOOL, '/spool')
})
