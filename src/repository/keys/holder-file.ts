/** One key holder: the repository key, wrapped so that this holder's key or passphrase opens it. No I/O here. */
import { createHash, createHmac, hkdfSync, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { deriveKey, nonceOf, seal, unseal } from '../sealing.ts'
import { decodeCanonical, encodeCanonical } from './canonical-json.ts'
import type { KeyMaterial } from './key-material.ts'

export type HolderKind = 'key' | 'passphrase' | 'recovery-kit'

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
])
const holderSchema = z.strictObject({
  format: z.literal('retake-key-holder'),
  version: z.literal(1),
  holder: z.string().regex(/^[0-9a-f]{16}$/),
  repositoryId: z.string().regex(/^[0-9a-f]{32}$/),
  kind: z.enum(['key', 'passphrase', 'recovery-kit']),
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
  const salt = randomBytes(32).toString('base64url')
  // Fields in the order of the format: the file is canonical.
  const { n, r, p } = options.scryptCost ?? DEFAULT_SCRYPT_COST
  const kdf: Kdf = secret.kind === 'key' ? { name: 'hkdf-sha256', salt } : { name: 'scrypt', salt, n, r, p }
  const facts = {
    format: 'retake-key-holder' as const,
    version: 1 as const,
    holder: randomId(8),
    repositoryId: options.repositoryId,
    kind: options.kind,
    label: options.label,
    createdAt: options.now.toISOString(),
    kdf,
  }
  const wrapping = await wrappingKey(secret, facts)
  // The salt is new, so the wrapping key is used for this one message.
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
  if ((file.kind === 'passphrase') !== (secret.kind === 'passphrase')) return undefined
  const { wrapped, check: _check, mac: _mac, ...facts } = file
  const wrapping = await wrappingKey(secret, facts)
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

async function wrappingKey(
  secret: KeyMaterial,
  facts: { readonly holder: string; readonly repositoryId: string; readonly kdf: Kdf },
): Promise<Uint8Array> {
  const { kdf } = facts
  const salt = Buffer.from(kdf.salt, 'base64url')
  if (secret.kind === 'key') {
    const info = `retake/1\0holder\0${facts.repositoryId}\0${facts.holder}`
    return new Uint8Array(hkdfSync('sha256', secret.bytes, salt, info, 32))
  }
  if (kdf.name !== 'scrypt' || 128 * kdf.n * kdf.r > MAX_SCRYPT_BYTES || !Number.isInteger(Math.log2(kdf.n))) {
    throw new RetakeError(
      'repo.damaged',
      `keys/${facts.holder}.json asks for a passphrase cost that Retake does not use.`,
      {
        details: { object: `keys/${facts.holder}.json` },
      },
    )
  }
  return await scryptKey(secret.text, salt, kdf)
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
