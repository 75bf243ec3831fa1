/** The key holders of a repository: files under `keys/`, each with a receipt that the repository key seals. */
import * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../../storage/object-store.ts'
import { damaged, getSmall, putSmall } from '../container.ts'
import { decodeMeta } from '../meta.ts'
import { firstOf } from '../other-copies.ts'
import type { Sealing } from '../sealing.ts'
import { sha256Hex } from './digest.ts'
import {
  createHolder,
  decodeHolder,
  encodeHolder,
  type HolderFile,
  type HolderOptions,
  isAuthenticHolder,
  openHolder,
} from './holder-file.ts'
import type { KeyMaterial } from './key-material.ts'

export interface HolderInfo {
  readonly holder: string
  readonly kind: HolderFile['kind']
  readonly label: string
  readonly createdAt: string
}

const receiptSchema = z.object({ holder: z.string(), sha256: z.string() })

export const holderKey = (holder: string) => `keys/${holder}.json`
export const receiptKey = (holder: string) => `keys/${holder}.receipt`
export const removalKey = (holder: string) => `keys/${holder}.removed`

/** What it takes to change who can open a repository; an opened `Repository` is one. */
export interface HolderPlace {
  readonly store: ObjectStore
  readonly sealing: Sealing
  /** Secret. */
  readonly repositoryKey: Uint8Array
}

/** Adds a holder: first the file, which already opens the repository, then the receipt that lets its loss be noticed. */
export async function putHolder(target: HolderPlace, secret: KeyMaterial, options: HolderOptions): Promise<string> {
  const file = await createHolder(target.repositoryKey, secret, options)
  const bytes = encodeHolder(file)
  await target.store.create(holderKey(file.holder), bytes)
  await putReceipt(target, file.holder, bytes)
  return file.holder
}

/** Says that a holder exists, and with which content. */
export async function putReceipt(
  target: { readonly store: ObjectStore; readonly sealing: Sealing },
  holder: string,
  bytes: Uint8Array,
): Promise<void> {
  await putSmall(target.store, target.sealing, {
    key: receiptKey(holder),
    kind: 'holderReceipt',
    meta: { holder, sha256: sha256Hex(bytes) },
  })
}

export interface StoredHolder {
  readonly key: string
  /** Absent when the file is damaged. */
  readonly file?: HolderFile | undefined
  readonly bytes: Uint8Array
}

/** All holder files, damaged ones included. */
export async function readHolders(reader: ObjectReader): Promise<StoredHolder[]> {
  const holders: StoredHolder[] = []
  for await (const { key } of reader.list('keys/')) {
    if (!key.endsWith('.json')) continue
    const bytes = await reader.get(key)
    if (bytes === undefined) continue
    const stored = decodeStored(key, bytes)
    holders.push(stored.file ? stored : ((await readUnharmed(reader, key)) ?? stored))
  }
  return holders
}

function decodeStored(key: string, bytes: Uint8Array): StoredHolder {
  const file = decodeHolder(bytes)
  return { key, bytes, file: file && holderKey(file.holder) === key ? file : undefined }
}

/** The file from another copy of the repository. */
function readUnharmed(reader: ObjectReader, key: string): Promise<StoredHolder | undefined> {
  return firstOf(reader, key, async (copy) => {
    const bytes = await copy.get(key)
    const stored = bytes && decodeStored(key, bytes)
    return stored?.file && stored
  })
}

export interface Unlocked {
  /** Secret. */
  readonly repositoryKey: Uint8Array
  /** Whose key it was. */
  readonly holder: string
}

/**
 * Finds the repository key with one secret.
 * @throws RetakeError `key.wrong`, or `repo.damaged` when a holder file is damaged that this secret might have opened
 */
export async function unlock(
  reader: ObjectReader,
  secret: KeyMaterial,
  facts: { readonly url: string; readonly repositoryId: string },
): Promise<Unlocked> {
  const holders = await readHolders(reader)
  for (const { file } of holders) {
    if (file === undefined || file.repositoryId !== facts.repositoryId) continue
    const key = await openHolder(file, secret)
    if (key === undefined) continue
    if (!isAuthenticHolder(file, key))
      throw damaged({ key: holderKey(file.holder) }, 'its code of authenticity does not match')
    return { repositoryKey: key, holder: file.holder }
  }
  const broken = holders.find(({ file }) => file?.repositoryId !== facts.repositoryId)
  if (broken) {
    throw new RetakeError('repo.damaged', `${broken.key} is damaged, and no other key holder is opened by this key.`, {
      hint: 'Try another key, such as the one of the recovery kit. The backups themselves are not affected.',
      details: { object: broken.key },
    })
  }
  const lost = await missingHolders(reader, holders)
  if (lost[0] !== undefined || holders.length === 0) {
    const files = lost.join(', ') || 'every file in keys/'
    throw new RetakeError(
      'repo.damaged',
      `${files} is missing in ${facts.url}, and no other key holder is opened by this key.`,
      {
        hint: 'Try another key, or bring the file back from a copy of the repository. Nothing can be read without a key.',
        details: { object: lost[0] ?? 'keys/' },
      },
    )
  }
  const what = secret.kind === 'kms' ? 'key of the key service' : secret.kind
  throw new RetakeError(
    'key.wrong',
    `This ${what} does not open the repository ${facts.repositoryId} in ${facts.url}.`,
    {
      hint: `Check that it is the ${what} of this repository. Its holders: ${describe(holders)}.`,
    },
  )
}

/** Keys of holder files whose receipt exists, though they do not, and of whose removal there is no record. */
export async function missingHolders(reader: ObjectReader, holders: readonly StoredHolder[]): Promise<string[]> {
  const present = new Set(holders.map(({ key }) => key))
  const ids: string[] = []
  for await (const { key } of reader.list('keys/')) {
    const [, id, what] = /^keys\/([0-9a-f]{16})\.(receipt|removed)$/.exec(key) ?? []
    if (id === undefined) continue
    if (what === 'removed') present.add(holderKey(id))
    else ids.push(id)
  }
  return ids.map(holderKey).filter((key) => !present.has(key))
}

function describe(holders: readonly StoredHolder[]): string {
  return holders.flatMap(({ file }) => (file ? [`${file.kind} "${file.label}"`] : [])).join(', ')
}

export interface HolderProblem {
  /** The file, or its receipt. */
  readonly object: string
  readonly problem: string
  /** A lost receipt costs nothing as long as the file is there. */
  readonly severity: 'error' | 'warning'
}

/** What is wrong with a holder file or its receipt, or undefined. @throws RetakeError `repo.damaged` about the receipt */
export async function checkHolder(
  target: { readonly store: ObjectReader; readonly sealing: Sealing; readonly repositoryKey: Uint8Array },
  stored: StoredHolder,
): Promise<HolderProblem | undefined> {
  const { file, key } = stored
  const noUse = 'it is not what was written; this key may no longer open the repository'
  if (file === undefined || !isAuthenticHolder(file, target.repositoryKey))
    return { object: key, problem: noUse, severity: 'error' }
  return await checkReceipt(target, { holder: file.holder, sha256: sha256Hex(stored.bytes) })
}

/** What a receipt says of its holder's file. @throws RetakeError `repo.damaged` */
export async function readReceipt(
  target: { readonly store: ObjectReader; readonly sealing: Sealing },
  holder: string,
): Promise<{ readonly holder: string; readonly sha256: string } | undefined> {
  const name = { key: receiptKey(holder), kind: 'holderReceipt' } as const
  const meta = await getSmall(target.store, target.sealing, name)
  return meta === undefined ? undefined : decodeMeta(receiptSchema, meta, name)
}

/** Whether the receipt of a holder is about this file. @throws RetakeError `repo.damaged` about the receipt */
export async function checkReceipt(
  target: { readonly store: ObjectReader; readonly sealing: Sealing },
  file: { readonly holder: string; readonly sha256: string },
): Promise<HolderProblem | undefined> {
  const object = receiptKey(file.holder)
  const receipt = await readReceipt(target, file.holder)
  if (receipt === undefined) return { object, problem: 'it is missing', severity: 'warning' }
  if (receipt.holder === file.holder && receipt.sha256 === file.sha256) return undefined
  return { object, problem: 'it is about another content of the key file', severity: 'error' }
}
