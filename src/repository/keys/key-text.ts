/**
 * A key as text that survives paper: `RETAKE-KEY-1:` and eight groups of eight Crockford base32 digits. The last digit of a
 * group checks the group, so that a typing error can be pointed at; 24 bits at the end check the whole.
 */
import { createHash } from 'node:crypto'
import { assert, RetakeError } from '../../base/errors.ts'
import type { KeyMaterial } from './key-material.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const PREFIX = 'RETAKE-KEY-1:'
const KEY_BYTES = 32
const CHECK_BYTES = 3
const GROUPS = 8
const GROUP_DIGITS = 8
const PAYLOAD_DIGITS = GROUP_DIGITS - 1

/** `RETAKE-KEY-1:0ABCDEFG-…`, one line. Secret. */
export function formatKeyText(bytes: Uint8Array): string {
  return PREFIX + keyGroups(bytes).join('-')
}

/** The eight groups of a key's text. Secret. */
export function keyGroups(bytes: Uint8Array): string[] {
  assert(bytes.length === KEY_BYTES, 'a key has 32 bytes')
  const digits = toDigits(Buffer.concat([bytes, checkOf(bytes)]))
  return Array.from({ length: GROUPS }, (_, group) => {
    const payload = digits.slice(group * PAYLOAD_DIGITS, (group + 1) * PAYLOAD_DIGITS)
    return [...payload, checkDigit(payload, group)].map((digit) => ALPHABET[digit]).join('')
  })
}

/**
 * Reads a key from its text, or finds it inside a longer one such as a key file with comments or a recovery kit.
 * Lower case, spaces, line breaks and the confusable letters O, I and L are accepted.
 * @throws RetakeError `key.malformed` when there is no key, or its check digits do not match; the message names the group
 */
export function parseKeyText(text: string): KeyMaterial {
  const start = text.toUpperCase().indexOf(PREFIX)
  const digits = collectDigits(start < 0 ? text : text.slice(start + PREFIX.length))
  if (start < 0 && digits.length !== GROUPS * GROUP_DIGITS) {
    throw malformed('It holds no text that begins with RETAKE-KEY-1:')
  }
  if (digits.length < GROUPS * GROUP_DIGITS) {
    throw malformed(`It has ${digits.length} of ${GROUPS * GROUP_DIGITS} characters`)
  }
  const payload: number[] = []
  for (let group = 0; group < GROUPS; group++) {
    const values = digits.slice(group * GROUP_DIGITS, (group + 1) * GROUP_DIGITS)
    const check = values.pop()
    if (check !== checkDigit(values, group)) throw malformed(`Group ${group + 1} of ${GROUPS} has a wrong character`)
    payload.push(...values)
  }
  const all = fromDigits(payload)
  const bytes = all.subarray(0, KEY_BYTES)
  if (!checkOf(bytes).equals(all.subarray(KEY_BYTES))) throw malformed('Its check digits do not match')
  return { kind: 'key', bytes: new Uint8Array(bytes) }
}

/** The digits up to the first character that cannot belong to a key, at most as many as a key has. */
function collectDigits(text: string): number[] {
  const digits: number[] = []
  for (const character of text.toUpperCase()) {
    if (digits.length === GROUPS * GROUP_DIGITS) break
    if (/[\s-]/.test(character)) continue
    const digit = ALPHABET.indexOf(character.replace('O', '0').replace(/[IL]/, '1'))
    if (digit < 0) break
    digits.push(digit)
  }
  return digits
}

/** Odd weights: every single wrong digit changes it. The group's number is in it: so does a swap of two groups. */
function checkDigit(payload: readonly number[], group: number): number {
  return payload.reduce((sum, digit, index) => sum + digit * (2 * index + 1), group * 5 + 1) % 32
}

function checkOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(PREFIX).update(bytes).digest().subarray(0, CHECK_BYTES)
}

function toDigits(bytes: Uint8Array): number[] {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const digits: number[] = []
  for (let count = 0; count < (bytes.length * 8) / 5; count++) {
    digits.unshift(Number(value & 31n))
    value >>= 5n
  }
  return digits
}

function fromDigits(digits: readonly number[]): Buffer {
  const value = digits.reduce((sum, digit) => (sum << 5n) | BigInt(digit), 0n)
  return Buffer.from(value.toString(16).padStart((KEY_BYTES + CHECK_BYTES) * 2, '0'), 'hex')
}

function malformed(reason: string): RetakeError {
  return new RetakeError('key.malformed', `The key cannot be read. ${reason}.`, {
    hint: 'Compare it with the recovery kit or the key file, character by character.',
  })
}
