/** Runs every example against a real server, one after the other, as somebody would who tries them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serverAccount } from '../src/postgres/server/account.ts'
import { findFreePort } from '../src/postgres/server/free-port.ts'
import { startManagementServer } from '../src/supabase/test-server/server.ts'
import { startTestServer } from '../test/support/postgres.ts'
import { keyOf, startPostgrest } from '../test/support/postgrest.ts'
import { makeTemp } from '../test/support/temp.ts'

const examples: readonly (readonly [name: string, says: RegExp])[] = [
  ['protect', /backup \S+ can be restored: WAL is held up to \S+/],
  ['watch-progress', /copy: \d+ %[\s\S]*stored \d+ of \d+ bytes/],
  ['receive-wal', /held up to \S+ on timeline 1/],
  // A server without traffic still writes a snapshot of its transactions now and then, after the receiver has left.
  [
    'look',
    /restorable from \S+ to \S+\nok; (?:Everything the server has written is held|The server is at \S+, the archive at \S+)\.\n[\s\S]*health \d+, at risk\n/,
  ],
  ['verify', /^everything is as it was written\n$/],
  ['prune', /^keep \S+: [\s\S]*held: before the upgrade[\s\S]*gave up 0 backups; \d records/],
  ['supabase-report', /Health score: 0 of 100[\s\S]*Critical tables: NO[\s\S]*Assess the situation/],
  ['restore-to-a-second', /"outcome":"shut-down"/],
]

test('every example is run here', () => {
  const files = readdirSync(import.meta.dirname).filter(
    (name) => name.endsWith('.ts') && !/^(settings|.*\.test)\.ts$/.test(name),
  )
  assert.deepEqual(files.sort(), examples.map(([name]) => `${name}.ts`).sort())
})

test('the examples do what they say', async (t) => {
  await using server = await startTestServer()
  await using temp = makeTemp({ label: 'examples', owner: serverAccount() })
  await server.query('create role anon')
  await using rest = await startPostgrest(server.target)
  await using supabase = await startManagementServer({ projects: [{ ref: 'abcdefghijklmnopqrst' }] })
  const env = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    RETAKE_REPO: temp.join('repo'),
    RETAKE_PASSPHRASE: 'only for this test',
    RETAKE_DATABASE_URL: server.url,
    RETAKE_POSTGRES_BIN_DIR: server.binDir,
    SUPABASE_URL: rest.url,
    SUPABASE_ANON_KEY: keyOf('anon'),
    SUPABASE_PROJECT_ID: 'abcdefghijklmnopqrst',
    SUPABASE_ACCESS_TOKEN: supabase.token,
    SUPABASE_MANAGEMENT_URL: supabase.url,
  }
  for (const [name, says] of examples) {
    await t.test(name, async () => {
      // A port of its own: other tests run beside this one.
      const args = name === 'restore-to-a-second' ? ['latest', './restored', String(await findFreePort())] : []
      const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
      const child = spawn(process.execPath, [file, ...args], { env, cwd: temp.path, stdio: ['ignore', 'pipe', 'pipe'] })
      const [stdout, stderr, code] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        new Promise((resolve) => child.once('close', resolve)),
      ])
      assert.equal(code, 0, stderr)
      assert.match(stdout, says)
      assert.equal(stderr, '')
    })
  }
})
