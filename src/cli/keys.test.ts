/** The commands of `retake keys`, in processes of their own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isRetakeError } from '../base/errors.ts'
import { addRecoveryKit } from '../engine/initialise.ts'
import { retakeSettings } from '../engine/open.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText, parseKeyText } from '../repository/keys/key-text.ts'
import { openRepository } from '../repository/repository.ts'
import { createExampleRepository } from '../repository/testing/example-repository.ts'
import { openStore } from '../storage/open.ts'
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts'
import { runCli } from './testing/run-cli.ts'

async function example() {
  const directory = await temporaryDirectory()
  const url = join(directory.path, 'repo')
  const { key, repository } = await createExampleRepository(await openStore(url, { create: true }))
  assert.ok(key.kind === 'key')
  const env = { RETAKE_REPO: url, RETAKE_KEY: formatKeyText(key.bytes) }
  return {
    url,
    key,
    env,
    repository,
    path: directory.path,
    run: (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
      runCli(['keys', ...args], { ...env, ...more }, directory.path),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

test('keys are added, replaced and removed; what would lock out is refused; the status says what is there', async () => {
  await using keys = await example()
  const added = await keys.run(['add', '--new-key', 'second', '--label', 'backup host'])
  assert.equal(added.code, 0, added.stderr)
  assert.match(added.stdout, /opens the repository; that was tried/)
  assert.equal((await stat(join(keys.path, 'second'))).mode & 0o777, 0o600)
  const second = (await readFile(join(keys.path, 'second'), 'utf8')).trim()
  const third = formatKeyText(generateKey().bytes)
  const rotated = await keys.run(['rotate', '--master', '--from-env', 'NEXT', '--label', 'third'], {
    RETAKE_KEY: second,
    NEXT: third,
  })
  assert.equal(rotated.code, 0, rotated.stderr)
  assert.match(rotated.stdout, /no longer opens the repository[\s\S]*does not lock them out/)
  assert.ok(!rotated.stdout.includes(third) && !rotated.stderr.includes(third))
  await assert.rejects(openRepository(keys.url, parseKeyText(second)), (error) => isRetakeError(error, 'key.wrong'))

  const status = (await keys.run(['status', '--json'], { RETAKE_KEY: third })).json<{
    holders: { label: string; inUse: boolean; state: string }[]
    removed: { label: string }[]
    clusters: { cluster: string; epochs: { epoch: number; packs: number }[] }[]
    recommendations: string[]
  }>()
  assert.deepEqual(status.holders.map(({ label, inUse, state }) => [label, inUse, state]).sort(), [
    ['first key', false, 'good'],
    ['paper', false, 'good'],
    ['third', true, 'good'],
  ])
  assert.deepEqual(
    status.removed.map(({ label }) => label),
    ['backup host'],
  )
  assert.deepEqual(
    status.clusters.map(({ cluster, epochs }) => [cluster, epochs.map(({ epoch, packs }) => [epoch, packs])]),
    [['main', [[1, 4]]]],
  )
  assert.ok(status.recommendations.some((sentence) => sentence.includes('There is no recovery kit')))
})

test('a data key is rotated, everything is sealed anew, and the old key is announced to go', async () => {
  await using keys = await example()
  const rotated = await keys.run(['rotate', '--data', '--json'])
  assert.deepEqual(rotated.json<{ data: { outcome: string; epoch: number } }>().data.epoch, 2)
  const done = await keys.run(['re-encrypt', '--max-rate', '1000'])
  assert.match(done.stdout, /Sealed with epoch 2: 4 packs, 2 manifests/)
  const retire = (await keys.run(['retire', '--json'])).json<{ epochs: { outcome: string; because: string }[] }>()
  assert.deepEqual(
    [retire.epochs[0]?.outcome, /4 packs and 2 other objects/.test(retire.epochs[0]?.because ?? '')],
    ['in-use', true],
  )
})

test('with --dry-run a kit, a hold and a release change nothing, and refuse what would be refused', async () => {
  await using keys = await example()
  const cli = (...args: string[]) => runCli([...args, '--json'], keys.env, keys.path)
  const list = async () => (await Array.fromAsync(keys.repository.store.list(''))).map(({ key }) => key)
  const backupId = (await cli('backups')).json<{ backups: { backupId: string }[] }>().backups[0]?.backupId ?? ''
  assert.equal((await cli('retention', 'hold', backupId, '--reason', 'audit')).code, 0)
  const before = await list()
  for (const args of [
    ['keys', 'kit', 'kit.txt'],
    ['retention', 'hold', backupId, '--reason', 'another'],
    ['retention', 'release', backupId],
  ]) {
    const { code, stdout, json } = await cli(...args, '--dry-run')
    assert.equal(code, 0, stdout)
    assert.equal(json<{ dryRun: boolean }>().dryRun, true, args.join(' '))
  }
  assert.deepEqual(await list(), before)
  assert.equal(existsSync(join(keys.path, 'kit.txt')), false)
  const missing = '20261122T120000Z-0000ffff'
  await writeFile(join(keys.path, 'there.txt'), '')
  for (const [args, code] of [
    [['keys', 'kit', 'there.txt'], 'config.invalid'],
    [['keys', 'kit', 'none/kit.txt'], 'config.invalid'],
    [['retention', 'hold', missing, '--reason', 'x'], 'backup.missing'],
    [['retention', 'release', 'x'], 'backup.missing'],
  ] as const) {
    const { json } = await cli(...args, '--dry-run')
    assert.equal(json<{ error?: { code: string } }>().error?.code, code, args.join(' '))
  }
  const { released } = (await cli('retention', 'release', backupId)).json<{ released: { reason: string }[] }>()
  assert.deepEqual(
    released.map(({ reason }) => reason),
    ['audit'],
  )
})

test('the kit is tried from its file, and the proof is shown; a cluster is shredded only by its name', async () => {
  await using keys = await example()
  await addRecoveryKit(keys.repository, { file: join(keys.path, 'kit.txt'), settings: retakeSettings({}) })
  const tried = await keys.run(['escrow-test', 'kit.txt'], { RETAKE_KEY: undefined })
  assert.equal(tried.code, 0, tried.stderr)
  assert.match(
    tried.stdout,
    /recovery-kit "recovery kit"[\s\S]*6 frames at random[\s\S]*the newest WAL, up to 0\/61D4C0[\s\S]*was recorded/,
  )
  const shredded = await keys.run(['shred', 'main', '--yes', 'main'])
  assert.equal(shredded.code, 0, shredded.stderr)
  assert.match(
    shredded.stdout,
    /Every data key of "main" is destroyed[\s\S]*sha256 [0-9a-f]{64}[\s\S]*No copy of the repository stores[\s\S]*given up/,
  )
  assert.equal((await runCli(['verify'], keys.env, keys.path)).code, 0)
  const { stdout } = await keys.run(['status'])
  assert.match(stdout, /Cluster "main": SHREDDED/)
  assert.match(stdout, /recovery-kit +recovery kit +\S+ +good, tried .* \(sample\)/)
})

/** Runs the command on a terminal of its own (`script` of util-linux), and types the answers when they are asked for. */
async function onTerminal(
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly answers: readonly (readonly [asked: string, answer: string])[] },
) {
  const retake = fileURLToPath(new URL('../../bin/retake.js', import.meta.url))
  const command = [process.execPath, retake, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', TERM: 'dumb', ...options.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  let answered = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    const next = options.answers[answered]
    // Only what came since the last answer can be the next question.
    if (
      next &&
      output.split(next[0]).length - 1 >
        options.answers.slice(0, answered).filter(([asked]) => asked === next[0]).length
    ) {
      answered += 1
      child.stdin.write(`${next[1]}\r`)
    }
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output, answered }
}

test('a passphrase is asked for on a terminal, and never shown there', async () => {
  await using keys = await example()
  const secret = 'correct battery horse staple'
  const env = { RETAKE_REPO: keys.url }
  const opened = await onTerminal(['keys', 'list'], { env, answers: [['Passphrase: ', 'correct horse']] })
  assert.deepEqual([opened.code, opened.answered], [0, 1], opened.output)
  assert.match(opened.output, /paper/)
  assert.ok(!opened.output.includes('correct horse'), 'what is typed is not shown')
  const added = await onTerminal(['keys', 'add', '--ask-passphrase', '--label', 'typed'], {
    env: keys.env,
    answers: [
      ['New passphrase: ', secret],
      ['The same again: ', secret],
    ],
  })
  assert.deepEqual([added.code, added.answered], [0, 2], added.output)
  assert.ok(!added.output.includes(secret))
  await openRepository(keys.url, { kind: 'passphrase', text: secret })
  const slipped = await onTerminal(['keys', 'add', '--ask-passphrase'], {
    env: keys.env,
    answers: [
      ['New passphrase: ', secret],
      ['The same again: ', 'something else'],
    ],
  })
  assert.equal(slipped.code, 2)
  assert.match(slipped.output, /The two passphrases differ/)
  assert.equal((await keys.repository.listHolders()).length, 3)
})
