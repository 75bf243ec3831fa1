import { RetakeError } from '../../base/errors.ts'
import type { HolderKind, ScryptCost } from '../../repository/keys/holder-file.ts'
import { openHolder } from '../../repository/keys/holder-file.ts'
import type { KeyMaterial } from '../../repository/keys/key-material.ts'
import { holderKey, readHolders, type StoredHolder } from '../../repository/keys/key-ring.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Retake } from '../open.ts'
import { type NewKeySource, prepareNewKey } from './new-key.ts'

export interface AddKeyOptions {
  readonly source: NewKeySource
  /** For people; not secret. Default: what the key is. */
  readonly label?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Of a passphrase; tests use a cheap one. */
  readonly scryptCost?: ScryptCost | undefined
}

export interface AddedKey {
  readonly holder: string
  readonly kind: HolderKind
  readonly label: string
  /** `exists`: this very key opened the repository already. */
  readonly outcome: 'created' | 'exists'
  /** Where the key was written. */
  readonly file?: string | undefined
}

/**
 * Lets another key open the repository, and proves that it does by opening what was stored.
 * Running it again with the same key is harmless.
 * @throws RetakeError `key.refused`, `key.missing`, `key.malformed`, `key.unavailable`, `config.invalid` when the file exists
 */
export async function addKey(retake: Retake, options: AddKeyOptions): Promise<AddedKey> {
  const { repository } = retake
  const made = await prepareNewKey(repository, options.source, { settings: retake, signal: options.signal })
  const facts = { kind: made.kind, ...(made.file === undefined ? {} : { file: made.file }) }
  const known = await findHolderOf(repository, made.key)
  if (known?.file)
    return { ...facts, kind: known.file.kind, holder: known.file.holder, label: known.file.label, outcome: 'exists' }
  if (made.file !== undefined && !made.isNew) throw otherFile(made.file)
  const label = options.label ?? made.label
  try {
    const holder = await repository.addHolder(made.key, { kind: made.kind, label, scryptCost: options.scryptCost })
    await proveHolder(repository, { holder, key: made.key })
    return { ...facts, holder, label, outcome: 'created' }
  } catch (error) {
    // What failed may have been stored all the same: then the file is the only place that has its key.
    if (!(await mayOpen(repository, made.key))) await made.discard()
    throw error
  }
}

/** The holder that this key opens, if it is one already. */
export async function findHolderOf(repository: Repository, key: KeyMaterial): Promise<StoredHolder | undefined> {
  for (const stored of await readHolders(repository.store)) {
    if (stored.file && sameKey(repository, await openHolder(stored.file, key))) return stored
  }
  return undefined
}

/** Opens what is stored, as somebody would who has this key alone. @throws RetakeError `repo.damaged` */
export async function proveHolder(
  repository: Repository,
  expected: { readonly holder: string; readonly key: KeyMaterial },
): Promise<void> {
  const object = holderKey(expected.holder)
  const stored = (await readHolders(repository.store)).find(({ key }) => key === object)
  if (stored?.file && sameKey(repository, await openHolder(stored.file, expected.key))) return
  throw new RetakeError('repo.damaged', `${object} was stored, but does not open the repository with its key.`, {
    hint: 'Check the storage, then try again. The other keys are as they were.',
    details: { object },
  })
}

function sameKey(repository: Repository, key: Uint8Array | undefined): boolean {
  return key !== undefined && Buffer.from(key).equals(repository.repositoryKey)
}

async function mayOpen(repository: Repository, key: KeyMaterial): Promise<boolean> {
  try {
    return (await findHolderOf(repository, key)) !== undefined
  } catch {
    return true
  }
}

function otherFile(file: string): RetakeError {
  return new RetakeError(
    'config.invalid',
    `${file} exists already and holds a key that does not open this repository.`,
    {
      hint: 'Name a new file, or add the key that is in it: --from-file FILE.',
    },
  )
}
