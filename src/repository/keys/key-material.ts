import { randomBytes } from 'node:crypto'

/** What somebody has who may open a repository: 32 random bytes, a passphrase, or the use of a key in a key service. Secret. */
export type KeyMaterial =
  | { readonly kind: 'key'; readonly bytes: Uint8Array }
  | { readonly kind: 'passphrase'; readonly text: string }
  | { readonly kind: 'kms'; readonly service: KeyService }

/** What the key service binds a wrapped key to, and writes into its own log. Not secret. */
export interface KeyServiceContext {
  readonly repositoryId: string
  readonly holder: string
}

/** A key that never leaves its service: AWS KMS, behind two calls. */
export interface KeyService {
  /** Which key, as the service names it. Not secret. */
  readonly keyId: string
  /**
   * Wraps 32 bytes. `keyId` is the service's full name of the key that was used.
   * @throws RetakeError `key.unavailable` when the service refuses or cannot be reached
   */
  wrap(plain: Uint8Array, context: KeyServiceContext): Promise<{ readonly wrapped: Uint8Array; readonly keyId: string }>
  /**
   * Undefined when it is not a thing that this key has wrapped in this context.
   * @throws RetakeError `key.unavailable` when the service refuses or cannot be reached
   */
  unwrap(wrapped: Uint8Array, context: KeyServiceContext): Promise<Uint8Array | undefined>
}

/** A new random key. */
export function generateKey(): KeyMaterial & { readonly kind: 'key' } {
  return { kind: 'key', bytes: new Uint8Array(randomBytes(32)) }
}
