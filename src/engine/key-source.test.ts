import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Logger, silentLogger } from '../base/progress.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { type KeySourceOptions, loadKey } from './key-source.ts'
import { writeNewSecretFile } from './new-file.ts'

const key = generateKey()
const text = formatKeyText(key.bytes)

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'retake-key-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

function load(config: KeySourceOptions['config'], options: Partial<KeySourceOptions> = {}) {
  return loadKey({ config, directory: '/', logger: silentLogger, ...options })
}

test('a key comes from a file, a variable, a command or a passphrase, in this order', async (t) => {
  const directory = await makeDirectory(t)
  await writeNewSecretFile(join(directory, 'key'), `${text}\n`)
  assert.deepEqual(await load({ keyFile: 'key', key: 'not a key' }, { directory }), key)
  assert.deepEqual(await load({ key: text, keyCommand: 'false' }), key)
  assert.deepEqual(await load({ keyCommand: `printf '%s' '${text}'`, passphrase: 'x' }), key)
  assert.deepEqual(await load({ passphrase: 'x' }), { kind: 'passphrase', text: 'x' })
  assert.deepEqual(await load({}, { askPassphrase: async () => 'typed' }), { kind: 'passphrase', text: 'typed' })
})

test('without any of them the error says what to set', async () => {
  await assert.rejects(load({}), {
    code: 'key.missing',
    hint: /RETAKE_KEY_FILE.*RETAKE_KEY,.*RETAKE_KEY_COMMAND.*RETAKE_PASSPHRASE/,
  })
  await assert.rejects(load({}, { askPassphrase: async () => '' }), { code: 'key.missing' })
})

test('a key file that others may read is used with a warning that has the fix', async (t) => {
  const directory = await makeDirectory(t)
  const file = join(directory, 'key')
  await writeNewSecretFile(file, text)
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (message) => warnings.push(message) }
  await load({ keyFile: file }, { logger })
  assert.deepEqual(warnings, [])
  await chmod(file, 0o640)
  await load({ keyFile: file }, { logger })
  assert.match(warnings[0] ?? '', new RegExp(`chmod 600 ${file}`))
})

test('a key file that is missing, too long or holds no key is refused, and its content is not repeated', async (t) => {
  const directory = await makeDirectory(t)
  await assert.rejects(load({ keyFile: 'none' }, { directory }), { code: 'key.missing', message: /none/ })
  await assert.rejects(load({ keyFile: '.' }, { directory }), { code: 'config.invalid' })
  await writeFile(join(directory, 'long'), 'x'.repeat(100_000))
  await assert.rejects(load({ keyFile: 'long' }, { directory }), { code: 'key.malformed' })
  await writeFile(join(directory, 'other'), 'hunter2')
  await assert.rejects(load({ keyFile: 'other' }, { directory }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'key.malformed')
    return !error.message.includes('hunter2')
  })
})

test('a key command that fails, prints too much, hangs or is aborted gives its own error', async () => {
  await assert.rejects(load({ keyCommand: 'echo hunter2; exit 3' }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'key.missing')
    assert.match(error.message, /exit status was 3/)
    return !error.message.includes('hunter2')
  })
  await assert.rejects(load({ keyCommand: 'yes' }), { code: 'key.missing' })
  await assert.rejects(load({ keyCommand: 'sleep 600 & sleep 600' }, { commandLimitMs: 50 }), { code: 'timeout' })
  const controller = new AbortController()
  const aborted = load({ keyCommand: 'sleep 600' }, { signal: controller.signal })
  controller.abort()
  await assert.rejects(aborted, { code: 'aborted' })
})

test('a new secret file is private and never overwrites', async (t) => {
  const file = join(await makeDirectory(t), 'key')
  await writeNewSecretFile(file, 'first')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await assert.rejects(writeNewSecretFile(file, 'second'), { code: 'config.invalid', message: /exists already/ })
  assert.equal(await readFile(file, 'utf8'), 'first')
  await assert.rejects(writeNewSecretFile(join(file, 'below'), 'x'), { code: 'config.invalid' })
})
