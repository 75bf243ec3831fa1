/** The whole product on a bucket, by the command line; then recovery on a machine that has nothing but URL, credentials and kit (R4). */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import pg from 'pg'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../src/demo/content-digest.ts'
import { runCli, startCli } from '../support/cli.ts'
import { waitArchived, waitStreaming } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, localTarget, startTestServer } from '../support/postgres.ts'
import { stopServer } from '../support/restore.ts'
import { makeBucket, s3Missing } from '../support/s3.ts'
import { makeTemp, type TempDirectory } from '../support/temp.ts'

interface Lost {
  readonly kit: string
  readonly content: DatabaseDigest
}

interface Doctor {
  readonly checks: readonly { readonly id: string; readonly state: string }[]
}

async function run(args: readonly string[], env: Record<string, string>): Promise<unknown> {
  const result = await runCli([...args, '--json'], { env })
  assert.equal(result.code, 0, `retake ${args.join(' ')}: ${result.stdout}${result.stderr}`)
  return JSON.parse(result.stdout)
}

/** A server's life: protected, backed up, written to, lost. */
async function protectAndLose(temp: TempDirectory, repo: string): Promise<Lost> {
  await using server = await startTestServer({ major: anyMajor() })
  const { host, port, user } = server.target.config
  const env = {
    RETAKE_REPO: repo,
    RETAKE_KEY_FILE: temp.join('key'),
    RETAKE_DATABASE_URL: `postgres://${user}@${encodeURIComponent(host ?? '')}:${port}/postgres`,
    RETAKE_WORKERS: '2',
  }
  await run(['init', '--new-key', temp.join('key'), '--recovery-kit', temp.join('kit.txt')], env)
  let receiver = startCli(['wal', 'receive'], { env })
  try {
    await waitStreaming(server)
    await server.query('create table t as select g, md5(g::text) as word from generate_series(1, 50000) g')
    await run(['backup'], env)
    await server.query('delete from t where g % 3 = 0')
    await waitArchived(server)
    // A killed receiver leaves parts in the bucket, which the next one takes up.
    receiver.kill()
    await receiver.ended
    await server.query('delete from t where g % 5 = 0')
    receiver = startCli(['wal', 'receive'], { env })
    await waitStreaming(server)
    await server.query(`select pg_switch_wal()`)
    await server.query('create table last_words as select md5(g::text) as word from generate_series(1, 1000) g')
    const content = await digestDatabase(server)
    await waitArchived(server)
    // Other checks may fail on this machine; this one may not.
    const doctor = JSON.parse((await runCli(['doctor', '--timeout', '60', '--json'], { env })).stdout) as Doctor
    assert.equal(doctor.checks.find(({ id }) => id === 'repository.storage')?.state, 'passed', JSON.stringify(doctor))
    await server.kill()
    receiver.child.kill('SIGTERM')
    const { code, stderr } = await receiver.ended
    assert.equal(code, 0, stderr)
    await run(['verify', '--deep'], env)
    return { kit: readFileSync(temp.join('kit.txt'), 'utf8'), content }
  } finally {
    receiver.kill()
  }
}

describe('a repository in a bucket', { skip: s3Missing }, () => {
  test('is initialised, fed, verified, and restores on another machine with URL, credentials and recovery kit alone', async () => {
    await using temp = makeTemp({ label: 's3' })
    const { url } = await makeBucket()
    const repo = url.replace('?', '/team/prod?')
    const { kit, content } = await protectAndLose(temp, repo)
    assert.ok(kit.includes(repo), 'the kit says where')

    mkdirSync(temp.join('home'))
    writeFileSync(temp.join('home', 'kit.txt'), kit, { mode: 0o600 })
    const result = await runCli(['restore', 'apply', '--at', 'latest', '--to', temp.join('data'), '--json'], {
      cwd: temp.join('home'),
      env: { HOME: temp.join('home'), RETAKE_REPO: repo, RETAKE_KEY_FILE: temp.join('home', 'kit.txt') },
    })
    assert.equal(result.code, 0, result.stdout + result.stderr)
    const { report } = JSON.parse(result.stdout) as { report: { server: { pid: number; port: number } } }
    const client = new pg.Client(localTarget({ port: report.server.port }).config)
    try {
      await client.connect()
      const sql = { query: async (text: string) => (await client.query(text)).rows }
      assert.deepEqual(compareDigests(content, await digestDatabase(sql as Parameters<typeof digestDatabase>[0])), [])
    } finally {
      await client.end()
      await stopServer(report.server.pid)
    }
  })
})
