import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../support/leaks.ts'
import { postgresMajors } from '../support/postgres.ts'
import { runIncrementScenario } from './increment-scenario.ts'

const majors = postgresMajors()
// The soak does it with all majors: the oldest without checksums, and one that has summaries, are the two ends.
const chosen = new Map([
  [majors[0], { checksums: false, summaries: false }],
  [majors.find((major) => major >= 17), { checksums: true, summaries: true }],
])

for (const [major, variant] of chosen) {
  if (major === undefined) continue
  test(`PostgreSQL ${major}: increments under load restore exactly, whichever backups are left`, async (t) => {
    const scenario = { increments: 5, restoreEvery: 10, restoresAtEnd: 1, scale: 0.05, ...variant }
    const { seed, restores, problems } = await runIncrementScenario({ major, ...scenario })
    t.diagnostic(`seed ${seed}`)
    assert.deepEqual(problems, [], `seed ${seed}`)
    assert.equal(restores, 1)
  })
}
