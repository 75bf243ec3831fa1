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
import type { ClusterRepository } from '../../repository/cluster.ts'
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

/** What a call does, and to which kind of object: `commit packs`, `create runs .done`. */
function kindOf(action: StoreAction, key: string): string {
  const parts = key.split('/')
  return `${action} ${parts[0] === 'clusters' ? parts[2] : parts[0]} ${/\.\w+$/.exec(key)?.[0] ?? ''}`
}

test('whatever call to the storage fails, no half backup is visible, and the next one succeeds: full and incremental', async () => {
  await using server = await startTestServer()
  await server.query('create table changing as select g, md5(g::text) as m from generate_series(1, 20000) g')
  await using counted = await protect(server, { cluster: 'counted' })
  await using lab = await protect(server)
  const run = async (cluster: ClusterRepository, fault?: { readonly kind: string; readonly skip: number }) => {
    const calls = new Map<string, number>()
    const store = hookedStore(cluster.store, {
      before(action, key) {
        // Leases have tests of their own, and are renewed by the clock.
        if (READS.has(action) || key.includes('/leases/')) return
        const kind = kindOf(action, key)
        const before = calls.get(kind) ?? 0
        calls.set(kind, before + 1)
        if (kind === fault?.kind && before === fault.skip) throw new RetakeError('storage.full', `no space for ${key}`)
      },
    })
    await backUp({ cluster: { ...cluster, store }, target: server.target, workers: 0 })
    return calls
  }
  const change = () => server.query(`update changing set m = md5(m) where g % 50 = 0; checkpoint`)
  let visible = 0
  // What fails leaves nothing, so each try is again the first of its kind: a full backup, then the increment to it.
  for (const type of ['full', 'incremental'] as const) {
    for (const [kind, count] of await run(counted.cluster)) {
      for (const skip of count > 2 ? [0, 1] : [0]) {
        await change()
        const attempt = run(lab.cluster, { kind, skip })
        await assert.rejects(attempt, (error) => isRetakeError(error, 'storage.full'), `${type}: ${kind}, ${skip}`)
        const backups = await listBackups(lab.cluster)
        // Only the receipt comes after the commit: such a backup stands.
        assert.equal(backups.length, visible + (kind.endsWith('.done') ? 1 : 0), `${type}: ${kind}, ${skip}`)
      }
    }
    visible += 1
    const backups = await listBackups(lab.cluster)
    assert.deepEqual([backups.length, backups.at(-1)?.type], [visible, type])
    await change()
  }
  await run(lab.cluster)
  assert.equal((await listBackups(lab.cluster)).length, visible + 1)
  await assertWhole(lab)
})

test('a backup that is killed at any moment leaves nothing half-visible, and the next one cleans up', async () => {
  await using server = await startTestServer()
  await server.query('create table big as select g, md5(g::text) as m from generate_series(1, 300000) g')
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
    await server.query('update big set m = md5(m) where g % 3000 = 0')
    for (const { backupId } of await listBackups(lab.cluster)) await readBackup(lab.cluster, backupId)
  }
  await lab.backUp()
  await assertWhole(lab)
  assert.deepEqual(readdirSync(join(lab.url, '.staging')), [])
})
