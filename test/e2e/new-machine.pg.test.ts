/** F4, R4: URL and key suffice. A copy of the repository, another directory, an empty home, the command line, nothing else. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import pg from 'pg'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { runCli } from '../support/cli.ts'
import { protect, waitArchived } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, localTarget, startTestServer } from '../support/postgres.ts'
import { stopServer } from '../support/restore.ts'
import { makeTemp } from '../support/temp.ts'

test('a copied repository and its key restore everything, with the server and its machine gone', async () => {
  await using machine = makeTemp({ label: 'new-machine' })
  const key = machine.join('key')
  const expected = await protectAndLose(machine.join('repository'), key)

  mkdirSync(machine.join('home'))
  const result = await runCli(['restore', 'apply', '--at', 'latest', '--to', machine.join('data'), '--json'], {
    cwd: machine.join('home'),
    env: {
      HOME: machine.join('home'),
      RETAKE_REPO: machine.join('repository'),
      RETAKE_KEY_FILE: key,
      RETAKE_DATABASE_URL: undefined,
    },
  })
  assert.equal(result.code, 0, result.stdout + result.stderr)
  const { report } = JSON.parse(result.stdout) as { report: { server: { pid: number; port: number } } }
  const client = new pg.Client(localTarget({ port: report.server.port }).config)
  try {
    await client.connect()
    const sql = { query: async (text: string) => (await client.query(text)).rows }
    assert.deepEqual(compareDigests(expected, await digestDatabase(sql as Parameters<typeof digestDatabase>[0])), [])
  } finally {
    await client.end()
    await stopServer(report.server.pid)
  }
})

/** The content at the end of a server's life; its repository and key are copied away, everything else goes. */
async function protectAndLose(repository: string, keyFile: string) {
  await using server = await startTestServer({ major: anyMajor() })
  await using protection = await protect(server)
  const receiver = protection.receive()
  await protection.backUp()
  await server.query('create table last_words as select g, md5(g::text) as word from generate_series(1, 1000) g')
  const content = await digestDatabase(server)
  await waitArchived(server)
  await server.kill()
  await receiver.stop()
  cpSync(protection.url, repository, { recursive: true })
  writeFileSync(keyFile, formatKeyText((protection.key as { bytes: Uint8Array }).bytes), { mode: 0o600 })
  return content
}
