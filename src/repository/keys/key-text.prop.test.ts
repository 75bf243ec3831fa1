import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { generateKey, type KeyMaterial } from './key-material.ts'
import { formatKeyText, parseKeyText } from './key-text.ts'
import { renderRecoveryKit } from './recovery-kit.ts'

const keyBytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
const PREFIX = 'RETAKE-KEY-1:'

function bytesOf(material: KeyMaterial): Buffer {
  assert.equal(material.kind, 'key')
  return Buffer.from(material.kind === 'key' ? material.bytes : [])
}

test('a key survives its text, also in lower case, with spaces, confusable letters and text around it', () => {
  fc.assert(
    fc.property(keyBytes, (bytes) => {
      const text = formatKeyText(bytes)
      assert.match(text, /^RETAKE-KEY-1:([0-9A-HJKMNP-TV-Z]{8}-){7}[0-9A-HJKMNP-TV-Z]{8}$/)
      const code = text.slice(PREFIX.length)
      const confused = code.replaceAll('0', 'O').replaceAll('1', 'l')
      const spread = code.replaceAll('-', ' \n  ')
      for (const variant of [
        text,
        text.toLowerCase(),
        PREFIX + confused,
        `# my key\n${PREFIX}\n ${spread}\n`,
        code,
        `${text}.`,
      ]) {
        assert.deepEqual(bytesOf(parseKeyText(variant)), Buffer.from(bytes))
      }
    }),
  )
})

test('a single wrong character is found, and its group named', () => {
  fc.assert(
    fc.property(keyBytes, fc.nat(63), fc.nat(30), (bytes, position, shift) => {
      const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
      const groups = formatKeyText(bytes).slice(PREFIX.length).split('-')
      const group = Math.floor(position / 8)
      const old = groups[group]?.[position % 8] as string
      const wrong = alphabet[(alphabet.indexOf(old) + 1 + shift) % 32] as string
      groups[group] = groups[group]?.slice(0, position % 8) + wrong + groups[group]?.slice((position % 8) + 1)
      assert.throws(
        () => parseKeyText(PREFIX + groups.join('-')),
        (error) => isRetakeError(error, 'key.malformed') && error.message.includes(`Group ${group + 1} of 8`),
      )
    }),
  )
})

test('what is no key is malformed, and the message does not repeat it', () => {
  const text = formatKeyText(generateKey().bytes)
  const groups = text.slice(PREFIX.length).split('-')
  const swapped = [groups[1], groups[0], ...groups.slice(2)].join('-')
  const secret = groups[3] as string
  for (const bad of ['', 'hunter2', PREFIX, text.slice(0, -1), text.replace('-', '-U'), PREFIX + swapped]) {
    assert.throws(
      () => parseKeyText(bad),
      (error) => isRetakeError(error, 'key.malformed') && !error.message.includes(secret),
      bad,
    )
  }
})

test('a recovery kit is a page of 80 columns from which the key is read', () => {
  const key = generateKey()
  const kit = renderRecoveryKit({
    repositoryId: '0'.repeat(32),
    url: '/mnt/backup/retake',
    createdAt: new Date('2026-11-22T09:00:00Z'),
    key,
    clusters: ['main', 'reports'],
  })
  assert.deepEqual(bytesOf(parseKeyText(kit)), Buffer.from(key.bytes))
  assert.ok(kit.split('\n').every((line) => line.length <= 80))
  assert.ok(kit.split('\n').length <= 60, 'it fits on a page')
  for (const part of ['/mnt/backup/retake', '2026-11-22T09:00:00.000Z', 'main, reports', "RETAKE_CLUSTER='main'"])
    assert.ok(kit.includes(part))
})
