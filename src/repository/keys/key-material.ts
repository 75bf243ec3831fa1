import { randomBytes } from 'node:crypto'

/** What somebody has who may open a repository: 32 random bytes, or a passphrase. Secret. */
export type KeyMaterial =
  | { readonly kind: 'key'; readonly bytes: Uint8Array }
  | { readonly kind: 'passphrase'; readonly text: string }

/** A new random key. */
export function generateKey(): KeyMaterial & { readonly kind: 'key' } {
  return { kind: 'key', bytes: new Uint8Array(randomBytes(32)) }
}
