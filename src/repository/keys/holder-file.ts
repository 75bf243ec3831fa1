/** One key holder: the repository key, wrapped so that this holder's key or passphrase opens it. No I/O here. */
import { createHash, createHmac, hkdfSync, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { assert, RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { deriveKey, nonceOf, seal, unseal } from '../sealing.ts'
import { decodeCanonical, encodeCanonical } from './canonical-json.ts'
import type { KeyMaterial, KeyServiceContext } from './key-material.ts'

export type HolderKind = 'key' | 'passphrase' | 'recovery-kit' | 'kms'

export interface ScryptCost {
  /** CPU and memory, a power of two. */
  readonly n: number
  readonly r: number
  readonly p: number
}

/** 128 MiB and about a third of a second. */
export const DEFAULT_SCRYPT_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 }
/** A file that asks for more memory than this was not written by Retake. */
const MAX_SCRYPT_BYTES = 1024 * 1024 * 1024

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/)
const kdfSchema = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('hkdf-sha256'), salt: base64url }),
  z.strictObject({
    name: z.literal('scrypt'),
    salt: base64url,
    n: z.int().min(2),
    r: z.int().min(1),
    p: z.int().min(1).max(16),
  }),
  // The key that wraps is random, and itself wrapped by the key service: the service never sees the repository key.
  z.strictObject({ name: z.literal('aws-kms'), keyId: z.string(), wrappedKey: base64url }),
])
const holderSchema = z.strictObject({
  format: z.literal('retake-key-holder'),
  version: z.literal(1),
  holder: z.string().regex(/^[0-9a-f]{16}$/),
  repositoryId: z.string().regex(/^[0-9a-f]{32}$/),
  kind: z.enum(['key', 'passphrase', 'recovery-kit', 'kms']),
  label: z.string(),
  createdAt: z.iso.datetime(),
  kdf: kdfSchema,
  /** Ciphertext and tag of the repository key, under the key that the holder's secret gives. */
  wrapped: base64url,
  /** SHA-256 of all before it: tells damage from a wrong key without any key. */
  check: z.string(),
  /** By the repository key, over all before it. */
  mac: z.string(),
})

export type HolderFile = z.infer<typeof holderSchema>
type Kdf = z.infer<typeof kdfSchema>

export interface HolderOptions {
  readonly repositoryId: string
  readonly label: string
  readonly kind: HolderKind
  readonly now: Date
  readonly scryptCost?: ScryptCost | undefined
}

/** Wraps the repository key for one holder. */
export async function createHolder(
  repositoryKey: Uint8Array,
  secret: KeyMaterial,
  options: HolderOptions,
): Promise<HolderFile> {
  const holder = randomId(8)
  const { kdf, wrapping } = await newWrappingKey(secret, { ...options, holder })
  // Fields in the order of the format: the file is canonical.
  const facts = {
    format: 'retake-key-holder' as const,
    version: 1 as const,
    holder,
    repositoryId: options.repositoryId,
    kind: options.kind,
    label: options.label,
    createdAt: options.now.toISOString(),
    kdf,
  }
  // The wrapping key is new, and used for this one message.
  const [ciphertext, tag] = seal(wrapping, repositoryKey, {
    nonce: nonceOf(0, 0),
    additional: [encodeCanonical(facts)],
  })
  const wrapped = Buffer.concat([ciphertext, tag]).toString('base64url')
  const wrappedFacts = { ...facts, wrapped }
  const checkedFacts = { ...wrappedFacts, check: checkOf(wrappedFacts) }
  return { ...checkedFacts, mac: macOf(repositoryKey, checkedFacts) }
}

/** The repository key, or undefined when this secret does not open this holder. */
export async function openHolder(file: HolderFile, secret: KeyMaterial): Promise<Uint8Array | undefined> {
  const { wrapped, check: _check, mac: _mac, ...facts } = file
  const wrapping = await wrappingKey(secret, facts)
  if (wrapping === undefined) return undefined
  return unseal(wrapping, Buffer.from(wrapped, 'base64url'), {
    nonce: nonceOf(0, 0),
    additional: [encodeCanonical(facts)],
  })
}

/** Undefined when the bytes are not exactly what Retake wrote, as far as that can be told without a key. */
export function decodeHolder(bytes: Uint8Array): HolderFile | undefined {
  const parsed = holderSchema.safeParse(decodeCanonical(bytes))
  if (!parsed.success) return undefined
  const { mac: _mac, check, ...rest } = parsed.data
  return checkOf(rest) === check ? parsed.data : undefined
}

export function encodeHolder(file: HolderFile): Uint8Array {
  return encodeCanonical(file)
}

/** Whether the repository's own key vouches for this file. */
export function isAuthenticHolder(file: HolderFile, repositoryKey: Uint8Array): boolean {
  const { mac, ...rest } = file
  return equalText(mac, macOf(repositoryKey, rest))
}

/** HMAC-SHA-256 by a key that is derived from the repository key, over the canonical form. */
export function macOf(repositoryKey: Uint8Array, value: { readonly repositoryId: string }): string {
  const key = deriveKey(repositoryKey, { repositoryId: value.repositoryId, purpose: 'mac' })
  return createHmac('sha256', key).update(encodeCanonical(value)).digest('base64url')
}

export function equalText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** 16 digits of SHA-256: tells damage from a wrong key without any key, and protects nothing else. */
export function checkOf(value: object): string {
  return createHash('sha256').update(encodeCanonical(value)).digest('hex').slice(0, 16)
}

interface WrappingFacts {
  readonly holder: string
  readonly repositoryId: string
}

/** The key that wraps for a new holder, and what its file must say so that it is found again. */
async function newWrappingKey(
  secret: KeyMaterial,
  facts: WrappingFacts & { readonly scryptCost?: ScryptCost | undefined },
): Promise<{ readonly kdf: Kdf; readonly wrapping: Uint8Array }> {
  if (secret.kind === 'kms') {
    const wrapping = new Uint8Array(randomBytes(32))
    const { wrapped, keyId } = await secret.service.wrap(wrapping, contextOf(facts))
    return { kdf: { name: 'aws-kms', keyId, wrappedKey: Buffer.from(wrapped).toString('base64url') }, wrapping }
  }
  const salt = randomBytes(32).toString('base64url')
  const { n, r, p } = facts.scryptCost ?? DEFAULT_SCRYPT_COST
  const kdf: Kdf = secret.kind === 'key' ? { name: 'hkdf-sha256', salt } : { name: 'scrypt', salt, n, r, p }
  const wrapping = await wrappingKey(secret, { ...facts, kdf })
  assert(wrapping, 'a secret opens what is wrapped for its own kind')
  return { kdf, wrapping }
}

/** Undefined when this kind of secret does not open this kind of holder. */
async function wrappingKey(
  secret: KeyMaterial,
  facts: WrappingFacts & { readonly kdf: Kdf },
): Promise<Uint8Array | undefined> {
  const { kdf } = facts
  if (secret.kind === 'kms') {
    if (kdf.name !== 'aws-kms') return undefined
    const key = await secret.service.unwrap(Buffer.from(kdf.wrappedKey, 'base64url'), contextOf(facts))
    return key?.length === 32 ? key : undefined
  }
  if (secret.kind === 'key') {
    if (kdf.name !== 'hkdf-sha256') return undefined
    const info = `retake/1\0holder\0${facts.repositoryId}\0${facts.holder}`
    return new Uint8Array(hkdfSync('sha256', secret.bytes, Buffer.from(kdf.salt, 'base64url'), info, 32))
  }
  if (kdf.name !== 'scrypt') return undefined
  if (128 * kdf.n * kdf.r > MAX_SCRYPT_BYTES || !Number.isInteger(Math.log2(kdf.n))) {
    throw new RetakeError(
      'repo.damaged',
      `keys/${facts.holder}.json asks for a passphrase cost that Retake does not use.`,
      {
        details: { object: `keys/${facts.holder}.json` },
      },
    )
  }
  return await scryptKey(secret.text, Buffer.from(kdf.salt, 'base64url'), kdf)
}

function contextOf({ repositoryId, holder }: WrappingFacts): KeyServiceContext {
  return { repositoryId, holder }
}

/** Passphrases are compared in Unicode normal form, because keyboards and systems compose characters differently. */
function scryptKey(passphrase: string, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { N: cost.n, r: cost.r, p: cost.p, maxmem: 256 * cost.n * cost.r + 1024 * 1024 }
    scrypt(passphrase.normalize('NFKC'), salt, 32, options, (error, key) => {
      if (error) reject(error)
      else resolve(new Uint8Array(key))
    })
  })
}
