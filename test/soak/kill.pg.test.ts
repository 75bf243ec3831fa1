/** The soak of `npm run soak -- kill` in short: enough to notice when an invariant is gone, not enough to trust it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../support/leaks.ts'
import { anyMajor } from '../support/postgres.ts'
import { runKillSoak } from './kill.ts'

test('after a dozen kills of backup, receiver, restore and server nothing is wrong or lost', async (t) => {
  const lines: string[] = []
  const seed = Date.now() % 1_000_000
  const outcome = await runKillSoak({ kills: 12, major: anyMajor(), seed, say: (line) => lines.push(line) })
  t.diagnostic(`seed ${seed}: ${JSON.stringify(outcome.kills)}`)
  assert.deepEqual(outcome.problems, [], lines.join('\n'))
  assert.equal(outcome.kills['lost-server'], 1)
  assert.ok(Object.values(outcome.kills).reduce((sum, count) => sum + count, 0) >= 12)
})
