/** Done-when 5 and F3: every stored object flipped, cut, exchanged and removed; verify finds all, restore refuses, messages name the object. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sleep } from '../../src/base/abort.ts'
import { isRetakeError } from '../../src/base/errors.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { Random } from '../../src/demo/cinetrack/random.ts'
import { startTraffic } from '../../src/demo/cinetrack/traffic.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { type Protection, protect, waitArchived } from '../support/lab.ts'
import '../support/leaks.ts'
import { damageKinds, listStoredObjects, type StoredObjects } from '../support/objects.ts'
import { anyMajor, startTestServer } from '../support/postgres.ts'
import { layOut } from '../support/restore.ts'

const SCALE = 0.02
const seed = Date.now() % 1_000_000
const random = new Random(seed)
let made: { protection: Protection; objects: StoredObjects }
const undo = new AsyncDisposableStack()

before(async () => {
  // Segments of 1 MiB: many objects from little WAL.
  const server = undo.use(await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1 }))
  await installCineTrack({ target: server.target, scale: SCALE })
  const protection = undo.use(await protect(server))
  await using receiver = protection.receive()
  await using traffic = await startTraffic({ target: server.target, scale: SCALE, transactionsPerSecond: 400 })
  await protection.backUp()
  await sleep(700)
  await protection.backUp()
  await sleep(300)
  await traffic.stop()
  await waitArchived(server)
  await receiver.stop()
  await server.stop()
  made = { protection, objects: listStoredObjects(protection.url) }
})

after(() => undo.disposeAsync())

/** A tail is known to the inventory by the segment it is a part of. */
function names(text: string, key: string): boolean {
  const tail = /^(.*\/)tail\/([0-9A-F]+)-/.exec(key)
  return (
    text.includes(key) ||
    (tail !== null && text.includes(`${tail[1]}${tail[2]}`)) ||
    (key.startsWith('keys/') && text.includes('keys/'))
  )
}

async function verifyText(protection: Protection): Promise<{ ok: boolean; text: string }> {
  try {
    await using repository = await openRepository(protection.url, protection.key)
    const report = await verifyRepository({ repository, depth: 'deep', workers: 0 })
    return { ok: report.ok, text: report.findings.map(({ object, problem }) => `${object}: ${problem}`).join('\n') }
  } catch (error) {
    if (!isRetakeError(error)) throw error
    return { ok: false, text: `${error.message} ${JSON.stringify(error.details)}` }
  }
}

test('the untouched repository verifies', async () => {
  assert.deepEqual(await verifyText(made.protection), { ok: true, text: '' })
})

for (const kind of damageKinds) {
  test(`verify finds and names every object after: ${kind}`, async (t) => {
    t.diagnostic(`seed ${seed}`)
    const { protection, objects } = made
    assert.ok(objects.keys.length > 12, objects.keys.join('\n'))
    for (const key of objects.keys) {
      const damage = objects.damage(key, kind, random)
      const { ok, text } = await verifyText(protection)
      damage.undo()
      assert.equal(ok, false, `${key}, ${damage.what}: not found`)
      assert.ok(names(text, key), `${key}, ${damage.what}: not named in\n${text}`)
    }
  })
}

test('a restore that needs a damaged object refuses and names it', async () => {
  const { protection, objects } = made
  // What a restore of the newest backup to the latest moment reads; the rest is for verify.
  const newest = objects.keys.filter((key) => key.includes('/backups/')).at(-1) ?? ''
  const pack = objects.keys.find((key) => key.startsWith('packs/') && key.includes(`/${newest.slice(-8)}`))
  const wal = objects.keys.filter((key) => /\/wal\/0{7}1\/[0-9A-F]{16}$/.test(key)).at(-1)
  const tail = objects.keys.find((key) => key.includes('/tail/'))
  for (const key of [newest, pack, wal, tail, 'clusters/main/cluster', 'clusters/main/keys/00000001', 'retake.json']) {
    assert.ok(key)
    for (const kind of damageKinds) {
      const damage = objects.damage(key, kind, random)
      try {
        await using restored = await layOut(protection, { at: 'latest', backupId: newest.split('/').at(-1) })
        assert.fail(`${key}, ${damage.what}: restored into ${restored.directory}`)
      } catch (error) {
        assert.ok(isRetakeError(error), `${key}, ${damage.what}: ${error}`)
        assert.ok(error.exitCode >= 10, `${key}, ${damage.what}: exit code ${error.exitCode}`)
        const text = `${error.message} ${JSON.stringify(error.details)}`
        // What is gone has no name any more: then the backup, the cluster or the stretch of WAL that is missing is named.
        const absent =
          /no backup|no repository|no cluster|not registered|WAL [0-9A-F/]+ to [0-9A-F/]+ is missing/i.test(text)
        assert.ok(absent || names(text, key), `${key}, ${damage.what}: not named in: ${text}`)
      } finally {
        damage.undo()
      }
    }
  }
})
