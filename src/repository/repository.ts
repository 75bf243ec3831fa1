import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { type Clock, systemClock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { ObjectReader, ObjectStore } from '../storage/object-store.ts'
import { openStore } from '../storage/open.ts'
import { assertSuitable } from '../storage/suitability.ts'
import {
  type ClusterFacts,
  type ClusterRepository,
  listClusterNames,
  openClusterRepository,
  registerClusterRepository,
} from './cluster.ts'
import { decodeCanonical, encodeCanonical } from './keys/canonical-json.ts'
import { checkOf, equalText, type HolderKind, macOf, type ScryptCost } from './keys/holder-file.ts'
import type { KeyMaterial } from './keys/key-material.ts'
import { type HolderInfo, putHolder, readHolders, unlock } from './keys/key-ring.ts'
import { REPOSITORY_KEY } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { fromAnyCopy } from './other-copies.ts'
import { importSealing, type Sealing } from './sealing.ts'

export const FORMAT_VERSION = 1

/** An opened repository: its storage, and the key that opens everything in it. */
export interface Repository extends AsyncDisposable {
  readonly id: string
  readonly url: string
  readonly createdAt: string
  readonly store: ObjectStore
  /** Seals what belongs to the repository itself (cluster facts, data keys, receipts). */
  readonly sealing: Sealing
  /** Secret. */
  readonly repositoryKey: Uint8Array
  /** The id of the holder whose key opened it. */
  readonly openedBy: string
  /** Names of the registered clusters, sorted. */
  listClusters(): Promise<string[]>
  /** @throws RetakeError `cluster.missing` */
  openCluster(name: string): Promise<ClusterRepository>
  /** The same facts again are fine. @throws RetakeError `cluster.foreign` when another cluster has this name */
  registerCluster(facts: ClusterFacts): Promise<ClusterRepository>
  /** Lets one more key or passphrase open the repository; returns the holder's id. */
  addHolder(key: KeyMaterial, options: AddHolderOptions): Promise<string>
  listHolders(): Promise<HolderInfo[]>
}

export interface AddHolderOptions {
  /** For people; not secret. */
  readonly label: string
  /** Default: what the key is. */
  readonly kind?: HolderKind | undefined
  /** Of a passphrase; tests use a cheap one. */
  readonly scryptCost?: ScryptCost | undefined
}

export interface RepositoryOptions {
  readonly clock?: Clock | undefined
}

export interface CreateRepositoryOptions extends RepositoryOptions {
  /** Of the first holder. Default `first key`, `passphrase` or `key service`. */
  readonly label?: string | undefined
  readonly kind?: HolderKind | undefined
  readonly scryptCost?: ScryptCost | undefined
}

/**
 * Makes a repository; `retake.json` is written last and is what makes it one.
 * @param place a URL (see `openStore`; the directory is made), or an opened store, which the repository then owns
 * @throws RetakeError `repo.exists` when there is a repository, or something else, at this place; `storage.unsupported`
 */
export async function createRepository(
  place: string | ObjectStore,
  key: KeyMaterial,
  options: CreateRepositoryOptions = {},
): Promise<Repository> {
  const store = typeof place === 'string' ? await openStore(place, { create: true }) : place
  await using undo = new AsyncDisposableStack()
  undo.use(store)
  await assertSuitable(store)
  await clearUnfinished(store)
  const id = randomId(16)
  const clock = options.clock ?? systemClock
  const repositoryKey = new Uint8Array(randomBytes(32))
  const sealing = importSealing({ repositoryId: id, epochs: [{ epoch: 0, key: repositoryKey }] })
  const now = clock.now()
  const openedBy = await putHolder({ store, sealing, repositoryKey }, key, {
    repositoryId: id,
    label: options.label ?? firstLabels[key.kind],
    kind: options.kind ?? key.kind,
    now,
    scryptCost: options.scryptCost,
  })
  const facts = { format: 'retake' as const, version: FORMAT_VERSION, repositoryId: id, createdAt: now.toISOString() }
  const checked = { ...facts, check: checkOf(facts) }
  const file = { ...checked, mac: macOf(repositoryKey, checked) }
  if (!(await store.create(REPOSITORY_KEY, encodeCanonical(file)))) throw exists(store.url)
  undo.move()
  return assemble({ store, clock, sealing, repositoryKey, openedBy, createdAt: facts.createdAt })
}

/**
 * Opens a repository; reads only, so a read-only copy can be restored from.
 * @param place a URL (see `openStore`), or an opened store, which the repository then owns
 * @throws RetakeError `repo.missing`, `repo.version`, `repo.damaged`, `key.wrong`
 */
export async function openRepository(
  place: string | ObjectStore,
  key: KeyMaterial,
  options: RepositoryOptions = {},
): Promise<Repository> {
  const store = typeof place === 'string' ? await openStore(place) : place
  await using undo = new AsyncDisposableStack()
  undo.use(store)
  const file = await readRepositoryFile(store)
  const { repositoryId, createdAt } = file
  const { repositoryKey, holder } = await unlock(store, key, { url: store.url, repositoryId })
  assertAuthentic(file, repositoryKey)
  const sealing = importSealing({ repositoryId, epochs: [{ epoch: 0, key: repositoryKey }] })
  undo.move()
  return assemble({ store, clock: options.clock ?? systemClock, sealing, repositoryKey, openedBy: holder, createdAt })
}

/** The same repository, with the same keys, read and written at one of its places alone. Disposing it leaves the store open. */
export function repositoryAt(repository: Repository, store: ObjectStore): Repository {
  const { sealing, repositoryKey, openedBy, createdAt } = repository
  const alone = assemble({ store, clock: systemClock, sealing, repositoryKey, openedBy, createdAt })
  return { ...alone, async [Symbol.asyncDispose]() {} }
}

const firstLabels = { key: 'first key', passphrase: 'passphrase', kms: 'key service' } as const

/** Whether there is a repository at this place; needs no key. */
export async function isRepository(place: string | ObjectReader): Promise<boolean> {
  if (typeof place !== 'string') return (await place.head(REPOSITORY_KEY)) !== undefined
  try {
    await using store = await openStore(place)
    return (await store.head(REPOSITORY_KEY)) !== undefined
  } catch (error) {
    if (error instanceof RetakeError && error.code === 'repo.missing') return false
    throw error
  }
}

interface Parts {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly sealing: Sealing
  readonly repositoryKey: Uint8Array
  readonly openedBy: string
  readonly createdAt: string
}

function assemble(parts: Parts): Repository {
  const { store, clock, sealing, repositoryKey } = parts
  return {
    id: sealing.repositoryId,
    url: store.url,
    createdAt: parts.createdAt,
    store,
    sealing,
    repositoryKey,
    openedBy: parts.openedBy,
    listClusters: () => listClusterNames(store),
    openCluster: (name) => openClusterRepository({ store, sealing }, name),
    registerCluster: (facts) => registerClusterRepository({ store, sealing, clock }, facts),
    addHolder: (key, options) =>
      putHolder({ store, sealing, repositoryKey }, key, {
        repositoryId: sealing.repositoryId,
        label: options.label,
        kind: options.kind ?? key.kind,
        now: clock.now(),
        scryptCost: options.scryptCost,
      }),
    async listHolders() {
      const holders = await readHolders(store)
      return holders.flatMap(({ file }) =>
        file ? [{ holder: file.holder, kind: file.kind, label: file.label, createdAt: file.createdAt }] : [],
      )
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

const repositorySchema = z.strictObject({
  format: z.literal('retake'),
  version: z.literal(FORMAT_VERSION),
  repositoryId: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.iso.datetime(),
  check: z.string(),
  mac: z.string(),
})

type RepositoryFile = z.infer<typeof repositorySchema>

/** @throws RetakeError `repo.missing`, `repo.version`, `repo.damaged` */
export async function readRepositoryFile(store: ObjectReader & { readonly url: string }): Promise<RepositoryFile> {
  return await fromAnyCopy(store, REPOSITORY_KEY, (copy) => readOneRepositoryFile(copy, store.url))
}

async function readOneRepositoryFile(store: ObjectReader, url: string): Promise<RepositoryFile> {
  const bytes = await store.get(REPOSITORY_KEY)
  if (bytes === undefined) {
    for await (const { key } of store.list('clusters/')) {
      throw damagedFile(`it is missing, though there is ${key}`, UNFINISHED)
    }
    throw new RetakeError('repo.missing', `There is no repository in ${url}.`, {
      hint: 'Check the place, or run `retake init` to make a repository there.',
      details: { url },
    })
  }
  const value = decodeCanonical(bytes)
  const frame = frameSchema.safeParse(value)
  if (!frame.success || !isUnharmed(value, frame.data.check)) throw damagedFile('it is not what was written')
  if (frame.data.version > FORMAT_VERSION) {
    throw new RetakeError(
      'repo.version',
      `The repository in ${url} has format version ${frame.data.version}; this Retake knows ${FORMAT_VERSION}.`,
      { hint: 'Use a newer Retake: npm install --global retake@latest' },
    )
  }
  return decodeMeta(repositorySchema, value, { key: REPOSITORY_KEY })
}

/** What every version of the format has, so that a newer one is told from a damaged file. */
const frameSchema = z.looseObject({ format: z.literal('retake'), version: z.int().positive(), check: z.string() })

/** The check is over all fields before it. */
function isUnharmed(file: unknown, check: string): boolean {
  const fields = Object.entries(file ?? {})
  const before = fields.slice(
    0,
    fields.findIndex(([name]) => name === 'check'),
  )
  return checkOf(Object.fromEntries(before)) === check
}

/** @throws RetakeError `repo.damaged` */
export function assertAuthentic(file: RepositoryFile, repositoryKey: Uint8Array): void {
  const { mac, ...facts } = file
  if (!equalText(mac, macOf(repositoryKey, facts))) {
    throw damagedFile('its code of authenticity does not match')
  }
}

/** Both write this file last. */
const UNFINISHED =
  'If `retake repo copy` or `retake repo sync --set-up` was filling this place and ended before it was done, run it again. Else: '

/** Without this file nothing opens, not even for verification; what it takes to go on is another copy of it. */
function damagedFile(reason: string, firstStep = ''): RetakeError {
  return new RetakeError(
    'repo.damaged',
    `${REPOSITORY_KEY} is damaged: ${reason}. It only says which repository this is; backups and WAL are other objects and need not be affected, but nothing opens without it.`,
    {
      hint: `${firstStep}Put ${REPOSITORY_KEY} back from a copy of the repository (it is a small text file with the format version, the repository's id and when it was made; it never changes and holds no secret), then run \`retake verify\`.`,
      details: { object: REPOSITORY_KEY },
    },
  )
}

/** Removes what a creation that was cut short has left; refuses when anything else is there. */
async function clearUnfinished(store: ObjectStore): Promise<void> {
  const leftovers: string[] = []
  for await (const { key } of store.list('')) {
    if (key === REPOSITORY_KEY) throw exists(store.url)
    if (!key.startsWith('keys/')) {
      throw new RetakeError('repo.exists', `${store.url} is not empty: there is ${key}.`, {
        hint: 'Name an empty or a new directory for the repository.',
      })
    }
    leftovers.push(key)
  }
  for (const key of leftovers) await store.delete(key)
}

function exists(url: string): RetakeError {
  return new RetakeError('repo.exists', `There already is a repository in ${url}.`, {
    hint: 'Use it with its key, or name another place.',
    details: { url },
  })
}
