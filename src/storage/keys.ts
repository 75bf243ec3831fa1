import { assert } from '../base/errors.ts'
import type { ObjectBody } from './object-store.ts'

const SEGMENT = /^[A-Za-z0-9._-]+$/
const MAX_KEY_LENGTH = 512

/** Whether a text may be one part of an object key. */
export function isKeySegment(text: string): boolean {
  return SEGMENT.test(text) && text !== '.' && text !== '..'
}

/** Whether a text is an object key as the contract in `object-store.ts` defines it. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && !key.startsWith('.') && key.split('/').every(isKeySegment)
}

/** Keys are made by our own code from checked names, so a bad one is a defect here, never a matter of input. */
export function assertObjectKey(key: string): void {
  assert(isObjectKey(key), `"${key}" is an object key`)
}

/** A prefix is any beginning of a key; it may end inside a segment or with a slash. */
export function assertKeyPrefix(prefix: string): void {
  assert(
    prefix === '' || isObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix),
    `"${prefix}" begins an object key`,
  )
}

/** Keys are ASCII, so comparing UTF-16 units is comparing bytes. */
export function compareKeys(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

export function bodyPieces(body: ObjectBody): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body
}
