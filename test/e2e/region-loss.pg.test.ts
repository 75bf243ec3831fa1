/** A place of the repository is lost and comes back, in the middle of a backup, of the reception of WAL and of a restore; through the command line. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sleep } from '../../src/base/abort.ts'
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { type CliRun, runCli, startCli } from '../support/cli.ts'
import { waitArchived, waitStreaming } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, startTestServer, type TestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { makeTemp } from '../support/temp.ts'

const undo = new AsyncDisposableStack()
const temp = makeTemp({ label: 'regions' })
const origin = temp.join('origin')
const north = temp.join('north')
let server: TestServer
let receiver: CliRun

const env = () => ({ RETAKE_DATABASE_URL: server.url, RETAKE_CONFIG: temp.join('retake.config.yaml') })

async function retake(...args: string[]) {
  const result = await runCli([...args, '--json'], { env: env() })
  const data = JSON.parse(result.stdout) as Record<string, never>
  return { code: result.code, data, stderr: result.stderr }
}

async function done(...args: string[]) {
  const result = await retake(...args)
  assert.equal(result.code, 0, `retake ${args.join(' ')}: ${JSON.stringify(result.data)} ${result.stderr}`)
  return result.data
}

/** The place is gone, as when its region is: every path into it fails. */
function lose(place: string): void {
  renameSync(place, `${place}.away`)
}

function bringBack(place: string): void {
  renameSync(`${place}.away`, place)
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 40_000
  while (!(await isSo())) {
    assert(performance.now() < deadline, `not within 40 s: ${what}`)
    await sleep(50)
  }
}

/** What copies have in common. */
function contentOf(place: string): Map<string, string> {
  const files = globSync('**/*', { cwd: place, withFileTypes: true }).filter((entry) => entry.isFile())
  const keys = files.map((entry) => join(entry.parentPath, entry.name).slice(place.length + 1)).sort()
  const common = keys.filter((key) => !key.startsWith('copies/') && !key.startsWith('.staging/'))
  return new Map(common.map((key) => [key, readFileSync(join(place, key)).toString('base64')]))
}

/** Both places store the record that counts, and it names both. */
function areBothCurrent(): boolean {
  const [one, other] = [origin, north].map((place) => {
    const folder = join(place, 'copies/generations')
    const newest = existsSync(folder) ? readdirSync(folder).sort().at(-1) : undefined
    return newest === undefined ? undefined : readFileSync(join(folder, newest), 'utf8')
  })
  return one !== undefined && one === other && (JSON.parse(one) as { current: string[] }).current.length === 2
}

async function assertWhole(place: string): Promise<void> {
  const key = parseKeyText(readFileSync(temp.join('key'), 'utf8').trim())
  await using repository = await openRepository(place, key)
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== 'notice'),
    [],
  )
}

/** Every transaction that was committed before this is in the archive, acknowledged. */
async function write(rows: number): Promise<void> {
  await server.query(`insert into ledger select g, repeat('x', 200) from generate_series(1, ${rows}) g`)
  await waitArchived(server)
}

before(async () => {
  server = undo.use(await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1 }))
  writeFileSync(
    temp.join('retake.config.yaml'),
    [
      `repo: ${origin}`,
      `keyFile: ${temp.join('key')}`,
      'place: here',
      'mirrors:',
      `  - { name: north, url: ${north}, place: there, offsite: true }`,
      '',
    ].join('\n'),
  )
  await done('init', '--new-key', temp.join('key'))
  receiver = startCli(['wal', 'receive'], { env: env() })
  undo.defer(() => receiver.kill())
  await waitStreaming(server)
  await server.query('create table ledger (id int, filler text)')
  await write(2000)
})

after(async () => {
  await undo.disposeAsync()
  await temp[Symbol.asyncDispose]()
})

test('backup and reception go on when the primary place is lost, and both copies are equal after it is back (M4, M5, M6)', async () => {
  assert(areBothCurrent())
  const backup = startCli(['backup', '--json'], { env: env() })
  const runs = join(origin, 'clusters/main/runs')
  await until(
    'the backup has begun',
    () => existsSync(runs) && readdirSync(runs).some((name) => name.endsWith('.begun')),
  )
  lose(origin)
  await write(5000)
  const ended = await backup.ended
  assert.equal(ended.code, 0, `${ended.stdout} ${ended.stderr}`)
  const { backup: summary } = JSON.parse(ended.stdout) as { backup: { backupId: string } }
  assert(existsSync(join(north, 'clusters/main/backups', summary.backupId)))
  await write(5000)
  assert.equal(receiver.child.exitCode, null)
  // A region that was lost for good: the other one alone restores everything that was acknowledged.
  await restoreFrom(north, 12_000)

  bringBack(origin)
  // The receiver brings it up to date by itself.
  await until('both copies are current', areBothCurrent)
  await write(3000)
  await settleAndCompare()
  const { copies } = (await done('backups')) as unknown as {
    copies: Record<string, { copies: string[]; missing: string[] }>
  }
  assert.deepEqual(copies[summary.backupId]?.copies, ['origin', 'north'])
  assert.deepEqual(copies[summary.backupId]?.missing, [])
})

test('a restore goes on when the place that it reads is lost in the middle', async () => {
  const to = temp.join('restored')
  const run = startCli(['restore', 'apply', '--at', 'latest', '--to', to, '--no-start', '--json'], { env: env() })
  await until('files are being written', () => existsSync(join(to, 'base')))
  lose(origin)
  const ended = await run.ended
  bringBack(origin)
  assert.equal(ended.code, 0, `${ended.stdout} ${ended.stderr}`)
})

test('bit rot in either copy is read around, healed from the other, and said (M7)', async () => {
  await until('both copies are current', areBothCurrent)
  // Writes went on in the other place, which has been the primary since.
  assert.equal(((await done('repo', 'primary', 'origin')) as { changed?: boolean }).changed, true)
  const rot = (place: string, pattern: string) => {
    const file = globSync(join(place, pattern)).sort()[0]
    assert(file)
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4
    writeFileSync(file, bytes)
    return file.slice(place.length + 1)
  }
  const inOrigin = rot(origin, 'packs/*/*')
  const inNorth = rot(north, 'clusters/main/wal/00000001/0*')
  const to = temp.join('around')
  const restored = await retake('restore', 'apply', '--at', 'latest', '--to', to, '--no-start')
  assert.equal(restored.code, 0, JSON.stringify(restored.data))
  assert.match(restored.stderr, new RegExp(`${inOrigin} is not as it was written`))
  assert.equal((await retake('verify', '--deep', '--copy', 'origin')).code, 30)
  const healed = (await done('repo', 'heal', '--deep')) as unknown as {
    copies: { name: string; healed: { object: string; was: string }[] }[]
  }
  const objects = healed.copies.map(({ name, healed: list }) => [
    name,
    list.map(({ object, was }) => `${object} ${was}`),
  ])
  assert.deepEqual(objects, [
    ['origin', [`${inOrigin} damaged`]],
    ['north', [`${inNorth} damaged`]],
  ])
  for (const place of [origin, north]) await assertWhole(place)
})

test('the primary is switched and switched back by one command each, while WAL is received', async () => {
  assert.equal(((await done('repo', 'primary', 'north')) as { changed?: boolean }).changed, true)
  assert.equal(((await done('repo', 'primary', 'north')) as { changed?: boolean }).changed, false)
  await write(1000)
  lose(origin)
  await write(1000)
  await done('backup')
  const refused = await retake('repo', 'primary', 'origin')
  assert.equal(refused.code, 1)
  bringBack(origin)
  await until('both copies are current', areBothCurrent)
  await done('repo', 'primary', 'origin')
  await write(1000)
  await stopReceiving()
  await compare()
})

async function stopReceiving(): Promise<void> {
  receiver.child.kill('SIGTERM')
  const ended = await receiver.ended
  assert.equal(ended.code, 0, ended.stderr)
}

/** Stops the reception for a moment, so that there is something to compare. */
async function settleAndCompare(): Promise<void> {
  await stopReceiving()
  await compare()
  receiver = startCli(['wal', 'receive'], { env: env() })
  await waitStreaming(server)
}

async function compare(): Promise<void> {
  await done('repo', 'sync')
  const [one, other] = [contentOf(origin), contentOf(north)]
  assert.deepEqual([...other.keys()], [...one.keys()])
  for (const [key, bytes] of one) assert.equal(other.get(key), bytes, key)
}

async function restoreFrom(place: string, rows: number): Promise<void> {
  const key = parseKeyText(readFileSync(temp.join('key'), 'utf8').trim())
  await using restored = await restore({ url: place, key }, { at: 'latest' })
  const [row] = await restored.query<{ count: string }>('select count(*) from ledger')
  assert.equal(Number(row?.count), rows)
}
