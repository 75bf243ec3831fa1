import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { firstUnreachable, serverAccount } from './account.ts'
import { findPostgresBinaries, parsePostgresVersion, readPostgresVersion } from './binaries.ts'
import { prepareEmbedded } from './embedded.ts'
import { parsePostmasterFile } from './postmaster-file.ts'

let root: string
const temporary = process.env.TMPDIR

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'retake-test-'))
  await chmod(root, 0o755)
})
afterEach(async () => {
  if (temporary === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = temporary
  await chmod(path.join(root, 'closed', 'native', 'lib'), 0o755).catch(() => {})
  await rm(root, { recursive: true, force: true })
})

/** A directory whose `postgres` only knows how to say its version. */
async function pretendBinaries(directory: string, version: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const name of ['postgres', 'initdb']) {
    await writeFile(path.join(directory, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`, { mode: 0o755 })
  }
}

test('versions are read from what postgres says', () => {
  assert.deepEqual(parsePostgresVersion('postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n'), {
    major: 15,
    versionNum: 150018,
  })
  assert.deepEqual(parsePostgresVersion('postgres (PostgreSQL) 19devel'), { major: 19 })
  assert.equal(parsePostgresVersion('pg_ctl (PostgreSQL) 15.18'), undefined)
})

describe('findPostgresBinaries', () => {
  test('takes the configured directory, or the bin below it, whatever else there is', async () => {
    await pretendBinaries(path.join(root, 'pg', 'bin'), '17.4')
    for (const directory of [path.join(root, 'pg'), path.join(root, 'pg', 'bin')]) {
      assert.deepEqual(await findPostgresBinaries({ major: 17, directory }), {
        binDir: path.join(root, 'pg', 'bin'),
        major: 17,
        versionNum: 170004,
        origin: 'configured',
      })
    }
  })

  test('refuses a configured directory of another major', async () => {
    await pretendBinaries(root, '16.2')
    await assert.rejects(findPostgresBinaries({ major: 17, directory: root }), /holds PostgreSQL 16; 17 is needed/)
  })

  test('finds the major in PATH, and not a directory without initdb', async () => {
    await pretendBinaries(path.join(root, 'half'), '77.1')
    await rm(path.join(root, 'half', 'initdb'))
    await pretendBinaries(path.join(root, 'other'), '76.1')
    await pretendBinaries(path.join(root, 'whole'), '77.2')
    const PATH = ['half', 'other', 'whole'].map((name) => path.join(root, name)).join(':')
    const found = await findPostgresBinaries({ major: 77, env: { PATH: `${PATH}:/usr/bin:/bin` } })
    assert.deepEqual([found.binDir, found.origin, found.versionNum], [path.join(root, 'whole'), 'system', 770002])
  })

  test('says what to install when there is none', async () => {
    const search = findPostgresBinaries({ major: 76, env: { PATH: '' } })
    await assert.rejects(search, (error) => isRetakeError(error, 'dependency.missing') && /76/.test(error.hint ?? ''))
  })
})

describe('the embedded package', () => {
  /** Closed to the account (as root) or not writable (as anybody else), so that it cannot be used where it is. */
  async function closedPackage(): Promise<string> {
    const directory = path.join(root, 'closed')
    await pretendBinaries(path.join(directory, 'native', 'bin'), '17.9')
    await mkdir(path.join(directory, 'native', 'lib'))
    await writeFile(path.join(directory, 'native', 'lib', 'libx.so.1.2'), 'library')
    const links = [{ source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' }]
    await writeFile(path.join(directory, 'native', 'pg-symlinks.json'), JSON.stringify(links))
    if (process.getuid?.() === 0) await chmod(directory, 0o700)
    else await chmod(path.join(directory, 'native', 'lib'), 0o555)
    return directory
  }

  test('gets its symlinks in place when it can be used there', async () => {
    const directory = await closedPackage()
    await chmod(directory, 0o755)
    await chmod(path.join(directory, 'native', 'lib'), 0o755)
    for (const _ of [1, 2]) {
      const binDir = await prepareEmbedded({ root: directory, version: '17.9.0' }, serverAccount())
      assert.equal(binDir, path.join(directory, 'native', 'bin'))
      assert.equal(await readlink(path.join(directory, 'native', 'lib', 'libx.so.1')), 'libx.so.1.2')
    }
  })

  test('is copied to where the account can run it, once, and completed when a part is gone', async () => {
    process.env.TMPDIR = root
    const found = { root: await closedPackage(), version: '17.9.0' }
    const [binDir, same] = await Promise.all([
      prepareEmbedded(found, serverAccount()),
      prepareEmbedded(found, serverAccount()),
    ])
    assert.equal(binDir, same)
    assert.ok(!binDir.startsWith(found.root))
    assert.equal(await firstUnreachable(path.join(binDir, 'postgres'), serverAccount()), undefined)
    assert.equal((await readPostgresVersion(binDir))?.versionNum, 170009)
    const library = path.join(binDir, '..', 'lib', 'libx.so.1')
    assert.equal(await readFile(library, 'utf8'), 'library')
    for (const gone of [library, path.join(binDir, 'initdb')]) {
      const { ino } = await stat(path.join(binDir, 'postgres'))
      assert.equal(await prepareEmbedded(found, serverAccount()), binDir)
      assert.equal((await stat(path.join(binDir, 'postgres'))).ino, ino, 'a whole copy is used as it is')
      await rm(gone)
    }
    assert.equal(await prepareEmbedded(found, serverAccount()), binDir)
    assert.ok((await stat(path.join(binDir, 'initdb'))).isFile())
    assert.equal(await readFile(library, 'utf8'), 'library')
  })

  test('does not trust a copy that others can write', async () => {
    process.env.TMPDIR = root
    const found = { root: await closedPackage(), version: '17.9.0' }
    const copy = path.dirname(await prepareEmbedded(found, serverAccount()))
    await chmod(copy, 0o777)
    await assert.rejects(prepareEmbedded(found, serverAccount()), /not trusted/)
  })
})

test('a postmaster file that is being written says only what it holds', () => {
  assert.equal(parsePostmasterFile(''), undefined)
  assert.equal(parsePostmasterFile('123'), undefined)
  const whole = '123\n/data\n1700000000\n5433\n/tmp/s\n127.0.0.1\n  1 2\nready   \n'
  assert.deepEqual(parsePostmasterFile(whole), {
    pid: 123,
    dataDir: '/data',
    startedAtSeconds: 1_700_000_000,
    port: 5433,
    socketDir: '/tmp/s',
    status: 'ready',
  })
  assert.equal(parsePostmasterFile(whole.split('\n').slice(0, 6).join('\n'))?.status, undefined)
})
