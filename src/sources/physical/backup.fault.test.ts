import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { startTestServer } from '../../../test/support/postgres.ts'
import { sleep } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { PACKS_PREFIX, parsePackKey } from '../../repository/layout.ts'
import { listBackups } from '../../repository/manifest-store.ts'
import { backUp } from './backup.ts'
import { keyText, spawnChild } from './testing/child.ts'
import { readBackup } from './testing/read-backup.ts'
import { hookedStore, type StoreAction } from './testing/recording-store.ts'

const READS = new Set<StoreAction>(['get', 'head', 'list'])

/** Every backup that is visible can be read to its last byte, and no pack belongs to none. */
async function assertWhole(lab: Protection): Promise<void> {
  const prefixes = new Set<string>()
  for (const { backupId, totalBytes } of await listBackups(lab.cluster)) {
    prefixes.add(backupId.slice(-8))
    const backup = await readBackup(lab.cluster, backupId)
    let bytes = 0
    for (const { path } of backup.files) bytes += (await backup.readFile(path)).length
    assert.equal(bytes, totalBytes)
  }
  for await (const { key } of lab.cluster.store.list(PACKS_PREFIX)) {
    assert.ok(prefixes.has(parsePackKey(key)?.slice(0, 8) ?? ''), `${key} belongs to a backup`)
  }
}

/** The first and the last call of every kind, and some in between. */
function chooseFaults(calls: readonly StoreAction[]): number[] {
  const chosen = new Set<number>()
  for (const action of new Set(calls)) {
    chosen.add(calls.indexOf(action))
    chosen.add(calls.lastIndexOf(action))
  }
  for (let index = 3; index < calls.length; index += Math.ceil(calls.length / 6)) chosen.add(index)
  return [...chosen].sort((a, b) => a - b)
}

test('whatever call to the storage fails, no half backup is visible, and the next one succeeds', async () => {
  await using server = await startTestServer()
  await using lab = await protect(server)
  const run = async (failAt: number | undefined): Promise<StoreAction[]> => {
    const calls: StoreAction[] = []
    const store = hookedStore(lab.cluster.store, {
      before(action, key) {
        // Leases have tests of their own, and are renewed by the clock.
        if (READS.has(action) || key.includes('/leases/')) return
        calls.push(action)
        if (calls.length - 1 === failAt) throw new RetakeError('storage.full', `no space for ${key}`)
      },
    })
    await backUp({ cluster: { ...lab.cluster, store }, target: server.target, workers: 0 })
    return calls
  }
  const calls = await run(undefined)
  let visible = 1
  for (const failAt of chooseFaults(calls)) {
    await assert.rejects(
      run(failAt),
      (error) => isRetakeError(error, 'storage.full'),
      `call ${failAt}: ${calls[failAt]}`,
    )
    const now = (await listBackups(lab.cluster)).length
    // Only the receipt comes after the commit.
    assert.ok(now === visible || failAt === calls.length - 1, `after call ${failAt}: ${calls[failAt]}`)
    visible = now
  }
  await run(undefined)
  assert.equal((await listBackups(lab.cluster)).length, visible + 1)
  await assertWhole(lab)
})

test('a backup that is killed at any moment leaves nothing half-visible, and the next one cleans up', async () => {
  await using server = await startTestServer()
  await server.query('create table big as select g, md5(g::text) from generate_series(1, 300000) g')
  await using lab = await protect(server)
  const task = {
    url: lab.url,
    key: keyText(lab),
    cluster: lab.cluster.facts.name,
    slot: lab.slot,
    port: server.server.port,
  }
  for (const afterMs of [250, 400, 600, 800, 1100]) {
    const child = spawnChild('backup', task)
    const exited = once(child, 'exit')
    await Promise.race([sleep(afterMs), exited])
    child.kill('SIGKILL')
    await exited
    for (const { backupId } of await listBackups(lab.cluster)) await readBackup(lab.cluster, backupId)
  }
  await lab.backUp()
  await assertWhole(lab)
  assert.deepEqual(readdirSync(join(lab.url, '.staging')), [])
})
