/** Done-when 2: a busy server, a backup under load, and recovery to moments whose exact content was noted at the source. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../support/leaks.ts'
import { postgresMajors } from '../support/postgres.ts'
import { runRecoveryScenario } from './recovery-scenario.ts'

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: recovery to a time, an LSN, a transaction, before one, and a name gives exactly the source's content`, async (t) => {
    const outcome = await runRecoveryScenario({ major, moments: 3, restoresPerKind: 1, scale: 0.1 })
    t.diagnostic(`seed ${outcome.seed}`)
    assert.deepEqual(outcome.problems, [])
    assert.equal(outcome.restores, 5)
  })
}
