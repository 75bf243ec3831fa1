/** The soak of `npm run soak -- serve` in short: real servers, killed where a backup would be made twice, or not at all. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import '../support/leaks.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { killServer } from './serve.ts'

let server: TestServer
let control: TestServer

before(async () => {
  ;[server, control] = await Promise.all([startTestServer(), startTestServer()])
})

after(async () => {
  await Promise.all([server?.[Symbol.asyncDispose](), control?.[Symbol.asyncDispose]()])
})

for (const [death, rescue] of [
  ['backup committed', 'restart'],
  ['begun', 'second'],
] as const) {
  test(`kill -9 at "${death}", rescued by ${rescue}: one backup, and it is whole`, async () => {
    const { problems, attempts, stateAtDeath } = await killServer({ server, control, death, rescue })
    assert.deepEqual(problems, [])
    assert.ok(stateAtDeath !== 'running' || attempts === 2, `${attempts} attempts, ${stateAtDeath} at death`)
  })
}
