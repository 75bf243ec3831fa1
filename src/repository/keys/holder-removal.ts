/**
 * Taking a key away. The record of it comes first, so that a holder file that is missing was either removed, which the record
 * proves, or lost, which its receipt tells. Who had the key could have kept what it opened; see `docs/design/repository-format.md`.
 */
import * as z from 'zod'
import { RetakeError } from '../../base/errors.ts'
import { getSmall, putSmall } from '../container.ts'
import { decodeMeta } from '../meta.ts'
import { sha256Hex } from './digest.ts'
import type { HolderFile } from './holder-file.ts'
import { isAuthenticHolder } from './holder-file.ts'
import { type HolderPlace, holderKey, readHolders, readReceipt, removalKey, type StoredHolder } from './key-ring.ts'

export interface HolderRemoval {
  readonly holder: string
  readonly kind: HolderFile['kind']
  readonly label: string
  readonly createdAt: string
  /** Our clock, ISO 8601 UTC. */
  readonly removedAt: string
  /** Who ran it, for people: `user@host`. */
  readonly by: string
  /** Of the holder file, as it was when it was made. */
  readonly sha256: string
}

const removalSchema = z.object({
  holder: z.string(),
  kind: z.enum(['key', 'passphrase', 'recovery-kit', 'kms']),
  label: z.string(),
  createdAt: z.string(),
  removedAt: z.string(),
  by: z.string(),
  sha256: z.string(),
})

export interface RemoveHolderOptions {
  readonly holder: string
  readonly by: string
  readonly now: Date
  /** Also when only recovery kits would be left. The very last holder is never removed. */
  readonly force?: boolean | undefined
}

/**
 * Removes a key holder: the record, then the file. Cut short in between, the key still opens the repository, `verify` says so,
 * and running it again finishes.
 * @throws RetakeError `key.unknown`, `key.refused` when too few holders would be left
 */
export async function removeHolder(place: HolderPlace, options: RemoveHolderOptions): Promise<HolderRemoval> {
  const { store } = place
  const before = await readHolders(store)
  const removals = await listRemovals(place)
  const recorded = removals.find(({ holder }) => holder === options.holder)
  const stored = before.find(({ key }) => key === holderKey(options.holder))
  if (stored === undefined) {
    if (recorded) return recorded
    throw unknownHolder(options.holder, before)
  }
  refuseTooFew(place, { holders: before, removals, options })
  const removal = recorded ?? (await removalOf(place, stored, options))
  if (!recorded) await putRemoval(place, removal)
  // Two that remove each other's key at the same time both see it now, and both step back.
  try {
    refuseTooFew(place, { holders: await readHolders(store), removals: await listRemovals(place), options })
  } catch (error) {
    if (!recorded) await store.delete(removalKey(removal.holder))
    throw error
  }
  await store.delete(holderKey(removal.holder))
  return removal
}

/** Every removal there is a record of. @throws RetakeError `repo.damaged` */
export async function listRemovals(place: HolderPlace): Promise<HolderRemoval[]> {
  const removals: HolderRemoval[] = []
  for await (const { key } of place.store.list('keys/')) {
    if (!key.endsWith('.removed')) continue
    const removal = await readRemoval(place, key)
    if (removal) removals.push(removal)
  }
  return removals
}

/** @throws RetakeError `repo.damaged` */
export async function readRemoval(
  place: Pick<HolderPlace, 'sealing'> & { readonly store: Pick<HolderPlace['store'], 'get' | 'head' | 'list'> },
  key: string,
): Promise<HolderRemoval | undefined> {
  const name = { key, kind: 'holderRemoved' } as const
  const meta = await getSmall(place.store, place.sealing, name)
  return meta === undefined ? undefined : decodeMeta(removalSchema, meta, name)
}

async function putRemoval(place: HolderPlace, removal: HolderRemoval): Promise<void> {
  await putSmall(place.store, place.sealing, { key: removalKey(removal.holder), kind: 'holderRemoved', meta: removal })
}

async function removalOf(
  place: HolderPlace,
  stored: StoredHolder,
  options: RemoveHolderOptions,
): Promise<HolderRemoval> {
  const { file } = stored
  // Of a damaged file the receipt says what it was.
  const receipt = file ? undefined : await readReceipt(place, options.holder)
  return {
    holder: options.holder,
    kind: file?.kind ?? 'key',
    label: file?.label ?? 'damaged',
    createdAt: file?.createdAt ?? '',
    removedAt: options.now.toISOString(),
    by: options.by,
    sha256: receipt?.sha256 ?? sha256Hex(stored.bytes),
  }
}

/** @throws RetakeError `key.refused` */
function refuseTooFew(
  place: HolderPlace,
  state: {
    readonly holders: readonly StoredHolder[]
    readonly removals: readonly HolderRemoval[]
    readonly options: RemoveHolderOptions
  },
): void {
  const { options, removals } = state
  const leaving = new Set([options.holder, ...removals.map(({ holder }) => holder)])
  const staying = state.holders.flatMap(({ file }) =>
    file && !leaving.has(file.holder) && isAuthenticHolder(file, place.repositoryKey) ? [file] : [],
  )
  if (staying.length === 0) {
    throw new RetakeError(
      'key.refused',
      `${options.holder} is the last key of the repository; without it every backup is lost.`,
      {
        hint: 'Add another key first: retake keys add --new-key FILE',
        details: { holder: options.holder },
      },
    )
  }
  if (options.force || staying.some(({ kind }) => kind !== 'recovery-kit')) return
  throw new RetakeError(
    'key.refused',
    `${options.holder} is the last key for daily use; only recovery kits would open the repository.`,
    {
      hint: 'Add another key first: retake keys add --new-key FILE. If you mean it: --force.',
      details: { holder: options.holder },
    },
  )
}

function unknownHolder(holder: string, holders: readonly StoredHolder[]): RetakeError {
  const known = holders.flatMap(({ file }) => (file ? [`${file.holder} (${file.kind} "${file.label}")`] : []))
  return new RetakeError('key.unknown', `The repository has no key holder ${holder}.`, {
    hint: `Its holders: ${known.join(', ')}.`,
    details: { holder },
  })
}

/** A holder by its id or, where only one has it, its label. @throws RetakeError `key.unknown` */
export async function findHolder(place: HolderPlace, name: string): Promise<string> {
  const holders = await readHolders(place.store)
  if (/^[0-9a-f]{16}$/.test(name)) return name
  const found = holders.flatMap(({ file }) => (file?.label === name ? [file.holder] : []))
  const [first, ...others] = found
  if (first === undefined || others.length > 0) throw unknownHolder(`"${name}"`, holders)
  return first
}
