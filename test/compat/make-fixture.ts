/**
 * `npm run fixture -- NAME`: makes a small repository of every kind of object and keeps it in `test/compat/fixtures/NAME`, with what it
 * gives back. It must open, verify and restore for ever. Its key is written beside it, and protects nothing.
 */
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { timeOrderedId } from '../../src/base/ids.ts'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { reEncrypt } from '../../src/engine/keys/re-encrypt.ts'
import { rotateData } from '../../src/engine/keys/rotate-data.ts'
import { openRetake } from '../../src/engine/open.ts'
import { prune } from '../../src/engine/prune.ts'
import { putDrill } from '../../src/repository/drills.ts'
import { placeHold } from '../../src/repository/holds.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { exampleDrill } from '../../src/repository/testing/example-drill.ts'
import { putVerified } from '../../src/repository/verified.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { backUp } from '../../src/sources/physical/backup.ts'
import { type Protection, protect, waitArchived } from '../support/lab.ts'
import { anyMajor, startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { makeTemp } from '../support/temp.ts'
import { describeContent } from './describe.ts'

const PASSPHRASE = 'a fixture holds no secret'

const [name = ''] = process.argv.slice(2)
if (!/^[a-z0-9-]+$/.test(name)) throw new Error('usage: npm run fixture -- NAME, of small letters, digits and dashes')
const place = join(import.meta.dirname, 'fixtures', name)
if (existsSync(place)) throw new Error(`${place} exists; a fixture is never changed`)

await using server = await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1, settings: { autovacuum: 'off' } })
// The templates would be two thirds of the fixture.
await server.query(`update pg_database set datistemplate = false`)
await server.query('drop database template1')
await server.query('update pg_database set datallowconn = true where datname = $1', ['template0'])
await server.query('drop database template0')
await server.query('vacuum full')
await using protection = await protect(server)
await fill(protection)
await using temp = makeTemp({ label: 'fixture' })
await using repository = await openRepository(protection.url, protection.key)
const { findings } = await verifyRepository({ repository, depth: 'deep' })
const damage = findings.filter(({ severity }) => severity !== 'notice')
if (damage.length > 0) throw new Error(`the new fixture is damaged: ${JSON.stringify(damage)}`)
const content = await describeContent(repository, temp.path)
cpSync(protection.url, join(place, 'repository'), { recursive: true, filter: isKept })
if (protection.key.kind !== 'key') throw new Error('the key is a key')
writeFileSync(join(place, 'test-key'), `${formatKeyText(protection.key.bytes)}\n`)
writeFileSync(join(place, 'content.json'), `${JSON.stringify(content, undefined, 1)}\n`)
console.log(`Kept in ${place}.`)

/**
 * Two timelines, full and incremental backups, a partial segment, a tail, a hold, a verification, a drill, a second key holder; three
 * data keys, with objects that were sealed anew; a backup that was given up and is not yet deleted.
 */
async function fill(into: Protection): Promise<void> {
  const { cluster } = into
  const receiver = into.receive()
  await server.query(
    `create table item as select n as id, repeat(md5(n::text), 10) as body from generate_series(1, 2000) n`,
  )
  const first = await into.backUp()
  await server.query(`update item set body = 'changed' where id % 100 = 0`)
  await server.query(`select pg_create_restore_point('fixture')`)
  await backUp({ cluster, target: server.target, workers: 0, label: 'second', type: 'incremental' })
  await waitArchived(server)
  await receiver.stop()
  await using retake = await openRetake({ repo: into.url, key: into.key })
  await rotateData(retake)
  await reEncrypt(retake).result
  await rotateData(retake)
  await using promoted = await restore(into, { at: 'latest' })
  const differing = compareDigests(await digestDatabase(server), await digestDatabase(promoted))
  if (differing.length > 0) throw new Error(`the restored server differs: ${JSON.stringify(differing)}`)
  await promoted.query('create table after_promotion as select 1 as x')
  const onSecond = into.receive({ target: promoted.target })
  await backUp({ cluster, target: promoted.target, workers: 0, label: 'on the second timeline', type: 'incremental' })
  await promoted.query('select pg_switch_wal()')
  await promoted.query('insert into after_promotion values (2)')
  await waitArchived(promoted)
  await onSecond.stop()
  // Made up, because a real one names the machine.
  await putDrill(cluster, exampleDrill(timeOrderedId(new Date()), { cluster: cluster.facts.name }))
  await placeHold(cluster, { backupId: first.backupId, reason: 'a fixture', at: new Date().toISOString() })
  await putVerified(cluster, { backupId: first.backupId, depth: 'deep', at: new Date().toISOString() })
  await into.repository.addHolder(
    { kind: 'passphrase', text: PASSPHRASE },
    { label: 'passphrase', scryptCost: { n: 16, r: 8, p: 1 } },
  )
  const { plan } = await prune(retake, { policy: { days: 0 } }).result
  if (!plan.backups.some(({ action }) => action !== 'keep')) throw new Error('no backup was given up')
}

/** Who is at work, and what a crash would have left, belongs to no repository that is kept. */
function isKept(path: string): boolean {
  const kept = !/\/(leases|readers|\.staging)(\/|$)/.test(path)
  if (!kept) rmSync(path, { recursive: true, force: true })
  return kept
}
