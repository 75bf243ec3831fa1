import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RetakeError } from '../base/errors.ts'
import { ensureDirectory, isMissing } from './directory-files.ts'
import { DirectoryStore } from './directory-store.ts'
import { createMemoryStore } from './memory-store.ts'
import { type OpenMirroredOptions, openMirrored } from './mirrored/mirrored-store.ts'
import type { ObjectStore } from './object-store.ts'
import { storageError } from './storage-errors.ts'
import type { StoreAddress } from './store-address.ts'

export interface OpenStoreOptions {
  /** Makes the directory when it does not exist. Default false. */
  readonly create?: boolean | undefined
  /** Told of what happens to the copies of a store that is kept in several places. */
  readonly onCopyEvent?: OpenMirroredOptions['onEvent']
}

/**
 * Opens the place that a URL names: a path, a `file://` URL, `s3://bucket/prefix` (see `s3/s3-location.ts`), or `memory:` (empty, gone
 * with the process); or several places as one store.
 * @throws RetakeError `config.invalid` for another kind of URL, `repo.missing` when the directory or bucket does not exist
 */
export async function openStore(address: StoreAddress, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  if (typeof address === 'string') return await openPlace(address, options)
  return await openMirrored(address, { open: (url) => openPlace(url, {}), onEvent: options.onCopyEvent })
}

async function openPlace(url: string, options: OpenStoreOptions): Promise<ObjectStore> {
  // Loaded only when it is needed: a repository in a directory does not pay for the SDK.
  if (/^s3:/i.test(url)) return await (await import('./s3/open-s3.ts')).openS3Store(url)
  if (url === 'memory:' || url.startsWith('memory:')) return createMemoryStore(url.slice('memory:'.length))
  const root = directoryOf(url)
  try {
    const info = await stat(root).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
    if (info === undefined && options.create) await createRoot(root)
    else if (!info?.isDirectory()) throw missing(root, info !== undefined)
  } catch (error) {
    throw storageError(error, { action: 'Opening', object: 'the directory', url: root })
  }
  return new DirectoryStore(root)
}

function directoryOf(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (url === '' || (scheme !== undefined && scheme !== 'file')) {
    throw new RetakeError(
      'config.invalid',
      url === '' ? 'No repository was named.' : `${scheme}: is not a kind of repository.`,
      {
        hint: 'Name a directory, such as /var/lib/retake, or a bucket, such as s3://bucket/prefix?region=eu-central-1.',
      },
    )
  }
  if (scheme === undefined) return resolve(url)
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new RetakeError('config.invalid', `"${url}" does not name a directory of this machine.`, {
      hint: 'Write it as file:///var/lib/retake, with three slashes.',
      cause,
    })
  }
}

/** Makes the directory and the parents that are missing, each durable. */
async function createRoot(root: string): Promise<void> {
  let existing = dirname(root)
  while (!(await exists(existing))) existing = dirname(existing)
  await ensureDirectory(root, { root: existing, known: new Set() })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false
      throw error
    },
  )
}

function missing(root: string, isSomethingElse: boolean): RetakeError {
  return new RetakeError(
    'repo.missing',
    isSomethingElse ? `${root} is not a directory.` : `There is no directory ${root}.`,
    {
      hint: 'Check the path, or run `retake init` to make a repository there.',
      details: { url: root },
    },
  )
}
