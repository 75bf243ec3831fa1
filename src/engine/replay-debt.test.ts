import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isWorthABackup } from './replay-debt.ts'

test('a backup is worth its time when the replay is long, and longer than the backup', () => {
  const debt = { backupId: 'b', walBytes: 1e9, replayMs: 60_000, backupMs: 5_000 }
  assert.equal(isWorthABackup(debt, 60_000), true)
  assert.equal(isWorthABackup(debt, 60_001), false)
  assert.equal(isWorthABackup({ ...debt, backupMs: 60_000 }, 1_000), false)
})
