import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { createRepository } from '../repository/repository.ts'
import { runCli, startCli } from './testing/run-cli.ts'

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'retake-cli-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

/** A repository without a cluster, and the environment that opens it. */
async function makeRepository(t: TestContext) {
  const directory = await makeDirectory(t)
  const key = generateKey()
  await using repository = await createRepository(join(directory, 'repo'), key)
  return { directory, env: { RETAKE_REPO: repository.url, RETAKE_KEY: formatKeyText(key.bytes) } }
}

/** Nobody listens there. */
const NO_SERVER = 'postgres://nobody@127.0.0.1:1/postgres'

test('a failure is one JSON object on stdout, and a sentence with the next step on stderr otherwise', async (t) => {
  const directory = await makeDirectory(t)
  const asJson = await runCli(['backups', '--json'], {}, directory)
  assert.equal(asJson.code, 2)
  assert.equal(asJson.stderr, '')
  const { schemaVersion, error } = asJson.json<{ schemaVersion: number; error: Record<string, unknown> }>()
  assert.equal(schemaVersion, 1)
  assert.equal(error.code, 'config.invalid')
  assert.match(String(error.hint), /--repo DIRECTORY/)
  assert.deepEqual(Object.keys(error).sort(), ['code', 'details', 'hint', 'message', 'retry'])

  const asText = await runCli(['backups'], {}, directory)
  assert.equal(asText.code, 2)
  assert.equal(asText.stdout, '')
  assert.match(
    asText.stderr,
    /^retake: No repository was named.*\n {2}next: .*--repo DIRECTORY.*\n {2}code: config\.invalid\n$/,
  )
})

test('exit statuses without a server: what is missing or wrong has its own', async (t) => {
  const { directory, env } = await makeRepository(t)
  const otherKey = formatKeyText(generateKey().bytes)
  const cases: readonly (readonly [args: string[], env: NodeJS.ProcessEnv, code: number, error: string])[] = [
    [['backups'], { RETAKE_REPO: join(directory, 'none'), RETAKE_KEY: otherKey }, 10, 'repo.missing'],
    [['backups'], { ...env, RETAKE_KEY: otherKey }, 12, 'key.wrong'],
    [['backups'], { RETAKE_REPO: env.RETAKE_REPO }, 12, 'key.missing'],
    [['backups'], { ...env, RETAKE_KEY: 'RETAKE-KEY-1:AAAA' }, 12, 'key.malformed'],
    [['backups'], env, 10, 'cluster.missing'],
    [['window', '--cluster', 'other'], env, 10, 'cluster.missing'],
    [['init'], { ...env, RETAKE_DATABASE_URL: NO_SERVER }, 1, 'postgres.unreachable'],
    [['restore', 'plan', '--to', 'x'], env, 2, 'config.invalid'],
    [['restore', 'plan', '--at', 'latest', '--to', 'x', '--delta'], env, 2, 'config.invalid'],
    [['restore', 'plan', '--at', 'latest', '--to', 'x', '--no-undo'], env, 2, 'config.invalid'],
    [['restore', 'apply', '--at', 'latest', '--to', 'x', '--undo-dir', 'y'], env, 2, 'config.invalid'],
    [['restore', 'apply', 'none.json'], env, 2, 'config.invalid'],
    [['verify', 'x', 'y'], env, 2, 'config.invalid'],
    [['backups', '--config', 'none.yaml'], env, 2, 'config.invalid'],
    [['wal', 'receive', '--until-caught-up', '--until-lsn', '0/0'], env, 2, 'config.invalid'],
    [['wal', 'receive', '--acknowledge', 'local'], env, 2, 'config.invalid'],
    [['wal', 'receive', '--spool', 'x'], env, 2, 'config.invalid'],
    // The configured one counts: what is missing then is the cluster.
    [['wal', 'receive', '--acknowledge', 'local'], { ...env, RETAKE_SPOOL: 'x' }, 10, 'cluster.missing'],
    [['wal', 'get', '000000010000000000000001', 'x'], env, 126, 'cluster.missing'],
    [['wal', 'get', '000000010000000000000001'], env, 126, 'config.invalid'],
  ]
  for (const [args, variables, code, error] of cases) {
    const result = await runCli([...args, '--json'], variables, directory)
    const found = result.json<{ error?: { code: string } }>()
    assert.equal(found.error?.code, error, `${args.join(' ')}: ${result.stdout}`)
    assert.equal(result.code, code, args.join(' '))
  }
})

test('the repository itself: figures, a check, a copy that opens, nothing to rebuild', async (t) => {
  const { directory, env } = await makeRepository(t)
  const stats = (await runCli(['repo', 'stats', '--json'], env, directory)).json<{
    objects: number
    storedBytes: number
  }>()
  assert.ok(stats.objects > 0 && stats.storedBytes > 0)
  const copied = await runCli(['repo', 'copy', 'copy', '--json'], env, directory)
  assert.equal(copied.code, 0, copied.stderr)
  assert.equal(copied.json<{ copied: { objects: number } }>().copied.objects, stats.objects - 1, 'all but retake.json')
  const check = await runCli(['repo', 'check'], { ...env, RETAKE_REPO: join(directory, 'copy') }, directory)
  assert.equal(check.code, 0)
  assert.match(check.stdout, /Not checked: .*\n\nThe structure is sound\.\n$/)
  const rebuilt = await runCli(['repo', 'rebuild', '--dry-run'], env, directory)
  assert.equal(rebuilt.stdout, 'Nothing is missing that could be rebuilt.\n')
  const elsewhere = await runCli(['repo', 'copy', directory], env, directory)
  assert.equal(elsewhere.code, 2)
})

test('doctor looks at the spool that it is told of, or that is configured', async (t) => {
  const { directory, env } = await makeRepository(t)
  await writeFile(join(directory, 'file'), '')
  const variables = { ...env, RETAKE_DATABASE_URL: 'postgres://u@127.0.0.1:1/postgres' }
  for (const [args, more] of [
    [['--spool', 'file'], {}],
    [[], { RETAKE_SPOOL: 'file' }],
    [['--spool', 'file'], { RETAKE_SPOOL: 'another' }],
  ] as const) {
    const { json } = await runCli(['doctor', ...args, '--json'], { ...variables, ...more }, directory)
    const { checks } = json<{ checks: { id: string; state: string; finding: string }[] }>()
    const spool = checks.find(({ id }) => id === 'machine.spool')
    assert.equal(spool?.state, 'failed')
    assert.ok(spool?.finding.startsWith(join(directory, 'file')), spool?.finding)
  }
})

test('no message holds the key, the passphrase or the password', async (t) => {
  const { directory, env } = await makeRepository(t)
  const secrets = {
    ...env,
    RETAKE_PASSPHRASE: 'hunter2-passphrase',
    RETAKE_DATABASE_URL: 'postgres://u:hunter2-password@127.0.0.1:1/postgres',
  }
  for (const args of [['status'], ['doctor'], ['init'], ['backup'], ['keys', 'list']]) {
    const { stdout, stderr } = await runCli([...args, '--json', '--verbose'], secrets, directory)
    assert.doesNotMatch(stdout + stderr, /hunter2/, args.join(' '))
    assert.ok(!(stdout + stderr).includes(env.RETAKE_KEY), args.join(' '))
  }
  const told = await runCli(['init', '--verbose'], secrets, directory)
  assert.match(told.stderr, /because:/)
  assert.doesNotMatch(told.stderr, /hunter2/)
})

test('the configuration file is found, and flags win over it', async (t) => {
  const { directory, env } = await makeRepository(t)
  await writeFile(join(directory, 'retake.config.yaml'), `repo: ${env.RETAKE_REPO}\n`)
  const { RETAKE_REPO: _repo, ...key } = env
  const found = await runCli(['keys', 'list', '--json'], key, directory)
  assert.equal(found.code, 0, found.stderr)
  assert.equal(found.json<{ holders: unknown[] }>().holders.length, 1)
  const flagged = await runCli(['keys', 'list', '--repo', 'elsewhere', '--json'], key, directory)
  assert.equal(flagged.code, 10)
})

test('a recovery kit opens the repository by itself', async (t) => {
  const { directory, env } = await makeRepository(t)
  const made = await runCli(['keys', 'kit', 'kit.txt', '--label', 'safe'], env, directory)
  assert.equal(made.code, 0, made.stderr)
  const listed = await runCli(
    ['keys', 'list', '--json'],
    { RETAKE_REPO: env.RETAKE_REPO, RETAKE_KEY_FILE: 'kit.txt' },
    directory,
  )
  const { holders } = listed.json<{ holders: { kind: string; label: string }[] }>()
  assert.deepEqual(holders.find(({ kind }) => kind === 'recovery-kit')?.label, 'safe')
  const again = await runCli(['keys', 'kit', 'kit.txt', '--json'], env, directory)
  assert.equal(again.code, 2)
})

test('doctor reports an unreachable server and goes on', async (t) => {
  const { directory, env } = await makeRepository(t)
  const result = await runCli(['doctor', '--json'], { ...env, RETAKE_DATABASE_URL: NO_SERVER }, directory)
  assert.equal(result.code, 40)
  const { checks, healthy } = result.json<{ healthy: boolean; checks: { id: string; state: string; fix?: string }[] }>()
  const state = (id: string) => checks.find((check) => check.id === id)?.state
  assert.equal(healthy, false)
  assert.equal(state('server.reachable'), 'failed')
  assert.equal(state('server.wal-level'), 'skipped')
  assert.equal(state('repository.open'), 'passed')
  assert.equal(state('repository.recovery-kit'), 'warning')
  assert.equal(state('repository.cluster'), 'failed')
  for (const { state: found, fix } of checks) if (found === 'failed' || found === 'warning') assert.ok(fix)
})

test('Ctrl-C ends with 130, also while a key command runs, and takes that command with it', async (t) => {
  const { directory, env } = await makeRepository(t)
  const { RETAKE_KEY: _key, ...rest } = env
  const keyCommand = { RETAKE_KEY_COMMAND: 'echo begun >&2; sleep 600' }
  const run = startCli(['backups'], { ...rest, ...keyCommand }, directory)
  await run.said('begun')
  run.child.kill('SIGINT')
  // Ends only when nobody holds its stderr any more: the sleep of the key command has ended too.
  const { code, stderr } = await run.ended
  assert.equal(code, 130)
  assert.match(stderr, /SIGINT received[\s\S]*code: aborted/)
})

test('help and version need nothing, and a broken pipe is no error', async () => {
  assert.match((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  const help = await runCli(['restore', 'apply', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /^retake restore apply: /)
  assert.ok(!help.stdout.includes('\x1b'))
})
