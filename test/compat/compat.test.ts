/** Repositories that were written by earlier versions open, verify and give back what they held, for ever. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseKeyText } from '../../src/repository/keys/key-text.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { makeTemp } from '../support/temp.ts'
import { type ClusterContent, describeContent } from './describe.ts'

const PASSPHRASE = 'a fixture holds no secret'
const fixtures = join(import.meta.dirname, 'fixtures')

for (const name of readdirSync(fixtures)) {
  test(`${name}: opens, verifies to the last byte, and restores what it held`, async () => {
    await using temp = makeTemp({ label: 'compat' })
    const expected = JSON.parse(readFileSync(join(fixtures, name, 'content.json'), 'utf8')) as ClusterContent[]
    const key = parseKeyText(readFileSync(join(fixtures, name, 'test-key'), 'utf8').trim())
    // A copy: nothing that opens a fixture may be able to change it.
    cpSync(join(fixtures, name, 'repository'), temp.join('repository'), { recursive: true })
    await using repository = await openRepository(temp.join('repository'), key)
    const { findings } = await verifyRepository({ repository, depth: 'deep', workers: 0 })
    assert.deepEqual(
      findings.filter(({ severity }) => severity !== 'notice'),
      [],
    )
    assert.ok(
      expected.length > 0 &&
        expected.every(({ backups, segments }) => backups.length > 0 && Object.keys(segments).length > 0),
    )
    assert.deepEqual(await describeContent(repository, temp.path), expected)
    await using again = await openRepository(temp.join('repository'), { kind: 'passphrase', text: PASSPHRASE })
    assert.equal(again.id, repository.id)
  })
}
