/** The recovery kit tried on backups of a real server. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { readKitProofs } from '../../repository/keys/kit-proof.ts'
import { renderRecoveryKit } from '../../repository/keys/recovery-kit.ts'
import { escrowTest } from './escrow-test.ts'

let server: TestServer
let lab: Protection
let kit: string

before(async () => {
  server = await startTestServer()
  lab = await protect(server)
  await server.query(
    `create table item as select n as id, repeat(md5(n::text), 20) as body from generate_series(1, 2000) n`,
  )
  await lab.backUp()
  await lab.catchUp()
  const key = generateKey()
  await lab.repository.addHolder(key, { kind: 'recovery-kit', label: 'safe' })
  kit = renderRecoveryKit({ repositoryId: lab.repository.id, url: lab.url, createdAt: new Date(), key })
})

after(async () => {
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

test('with the place and the kit alone a sample is read, or everything restored; both are recorded, and nothing is left', async () => {
  const sample = await escrowTest({ repo: lab.url, keyFile: '/nowhere' }, { kit, frames: 5, by: 'ann@host' }).result
  assert.deepEqual([sample.kind, sample.label, sample.depth, sample.recorded], ['recovery-kit', 'safe', 'sample', true])
  assert.equal(sample.clusters[0]?.frames, 5)
  assert.match(sample.clusters[0]?.walUntilLsn ?? '', /^0\/[0-9A-F]+$/)
  const directory = lab.temp.join('.')
  const full = await escrowTest({ repo: lab.url }, { kit, full: true, directory, by: 'ann@host' }).result
  assert.equal(full.depth, 'full')
  assert.ok((full.clusters[0]?.bytes ?? 0) > 5_000_000, `only ${full.clusters[0]?.bytes} bytes were restored`)
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('retake-escrow-test-')),
    [],
  )
  const proof = (await readKitProofs(lab.repository)).get(full.holder)
  assert.deepEqual([proof?.by, proof?.clusters.length], ['ann@host', 1])
})

test('a pack that is damaged fails the trial, and nothing is recorded as proven', async () => {
  const before = await readKitProofs(lab.repository)
  const packs = join(lab.url, 'packs')
  const files = readdirSync(packs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const saved = files.map((entry) => {
    const path = join(entry.parentPath, entry.name)
    const bytes = readFileSync(path)
    const broken = Buffer.from(bytes)
    // Every frame of every pack: whichever is chosen at random, it is damaged.
    for (let at = 64; at < broken.length; at += 512) broken[at] = (broken[at] ?? 0) ^ 1
    writeFileSync(path, broken)
    return { path, bytes }
  })
  await assert.rejects(escrowTest({ repo: lab.url }, { kit, frames: 3 }).result, (error) =>
    isRetakeError(error, 'repo.damaged'),
  )
  for (const { path, bytes } of saved) writeFileSync(path, bytes)
  assert.deepEqual(await readKitProofs(lab.repository), before)
})
