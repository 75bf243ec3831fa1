/** The soak of `npm run soak -- serve` in short: real servers, killed where a backup would be made twice, or not at all. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import '../support/leaks.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { killServer } from './serve.ts'

let server: TestServer
let control: TestServer

before(async () => {
  ;[server, control] = await Promise.all([startTestServer(), startTestServer({ ownIdentity: true })])
})

after(async () => {
  await Promise.all([server?.[Symbol.asyncDispose](), control?.[Symbol.asyncDispose]()])
})

test('kill -9 right after the backup was committed, and another server goes on: one backup, and it is whole', async () => {
  const outcome = await killServer({ server, control, death: 'backup committed', rescue: 'second' })
  const { problems, attempts, stateAtDeath } = outcome
  assert.deepEqual(problems, [])
  assert.ok(stateAtDeath !== 'running' || attempts === 2, `${attempts} attempts, ${stateAtDeath} at death`)
})
