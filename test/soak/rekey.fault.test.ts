/** The soak of `npm run soak -- rekey` in short: real processes and files, and a handful of kills. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../support/leaks.ts'
import { runRekeySoak } from './rekey.ts'

test('after a few kills of work on keys every backup is what it was, and the work can be finished', async (t) => {
  const lines: string[] = []
  const seed = Date.now() % 1_000_000
  const outcome = await runRekeySoak({ kills: 3, seed, say: (line) => lines.push(line) })
  t.diagnostic(`seed ${seed}: ${JSON.stringify(outcome.kills)}, ${outcome.survived} ended before`)
  assert.deepEqual(outcome.problems, [], lines.join('\n'))
  assert.ok(outcome.kills.atChange + outcome.kills.atRandom >= 3)
})
