/** Done-when 7 in small: whatever grows with the database shows here first; `npm run soak -- memory` measures 1 and 4 GiB. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureMemory } from '../soak/memory.ts'
import '../support/leaks.ts'

test('a backup and a restore stay below the limit of resident memory', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, async (t) => {
  const problems = await measureMemory({ gib: [0.1], say: (line) => t.diagnostic(line) })
  assert.deepEqual(problems, [])
})
