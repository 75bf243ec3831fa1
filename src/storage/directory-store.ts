import { constants, type Stats } from 'node:fs'
import { type FileHandle, link, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemErrorCode } from '../base/errors.ts'
import { currentProcess, type ProcessIdentity } from '../base/process-identity.ts'
import {
  ensureDirectory,
  FILE_MODE,
  isMissing,
  pathOfKey,
  readFully,
  sortedEntries,
  syncDirectory,
  writeFully,
} from './directory-files.ts'
import { assertKeyPrefix, assertObjectKey, bodyPieces, isKeySegment } from './keys.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectAppender,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
} from './object-store.ts'
import { cleanStaging, STAGING, stagingName } from './staging.ts'
import { brokenWriterError, conflictError, type StorageFailure, storageError } from './storage-errors.ts'

/** So many files are looked at together while listing. */
const STAT_BATCH = 64

/**
 * Objects as files of a directory. An object is written to `.staging`, fsynced, and given its name with `link`, which fails
 * when the name exists; then the directory is fsynced. So a name never stands for anything but a whole, durable object.
 */
export class DirectoryStore implements ObjectStore {
  readonly url: string
  readonly root: string
  readonly #identity: ProcessIdentity = currentProcess()
  /** Directories that exist durably, so that they are not made and fsynced again. */
  readonly #known = new Set<string>()
  #stagingReady: Promise<void> | undefined

  constructor(root: string) {
    this.root = root
    this.url = root
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    assertObjectKey(key)
    return this.#guard({ action: 'Reading', object: key }, async () => {
      const file = await open(pathOfKey(this.root, key), constants.O_RDONLY).catch(ignoreMissing)
      if (file === undefined) return undefined
      await using _closing = file
      if (range !== undefined) return await readFully(file, range.offsetBytes, range.lengthBytes)
      const info = await file.stat()
      return info.isFile() ? await readFully(file, 0, info.size) : undefined
    })
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertObjectKey(key)
    return this.#guard({ action: 'Reading', object: key }, async () => {
      const info = await statOrUndefined(pathOfKey(this.root, key))
      return info?.isFile() ? { key, sizeBytes: info.size } : undefined
    })
  }

  list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    assertKeyPrefix(prefix)
    const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    return this.#walk(directory, { prefix, startAfter: options.startAfter ?? '' })
  }

  async create(key: string, body: ObjectBody): Promise<boolean> {
    await using writer = await this.openWriter(key)
    await writer.write(body)
    return await writer.commit()
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    assertObjectKey(key)
    const staged = await this.#stage(key)
    return {
      write: staged.write,
      commit: () => staged.finish(() => this.#link(staged.path, key)),
      [Symbol.asyncDispose]: staged.discard,
    }
  }

  async replace(key: string, body: ObjectBody): Promise<void> {
    assertObjectKey(key)
    const staged = await this.#stage(key)
    try {
      await staged.write(body)
      await staged.finish(() => this.#rename(staged.path, key))
    } finally {
      await staged.discard()
    }
  }

  async delete(key: string): Promise<boolean> {
    assertObjectKey(key)
    return this.#guard({ action: 'Deleting', object: key }, async () => {
      const path = pathOfKey(this.root, key)
      try {
        await unlink(path)
      } catch (error) {
        if (isMissing(error)) return false
        throw error
      }
      await syncDirectory(dirname(path))
      return true
    })
  }

  readonly openAppender = async (key: string): Promise<ObjectAppender> => {
    assertObjectKey(key)
    const failure = { action: 'Writing', object: key } as const
    const file = await this.#guard(failure, async () => {
      const path = pathOfKey(this.root, key)
      await ensureDirectory(dirname(path), { root: this.root, known: this.#known })
      const created = await open(path, 'ax', FILE_MODE).catch((error: unknown) => {
        throw systemErrorCode(error) === 'EEXIST' ? conflictError(key, this.url) : error
      })
      await syncDirectory(dirname(path))
      return created
    })
    let state: 'open' | 'broken' | 'closed' = 'open'
    const attempt = async (action: () => Promise<void>) => {
      if (state !== 'open') throw brokenWriterError(key, this.url)
      try {
        await action()
      } catch (error) {
        state = 'broken'
        throw storageError(error, { ...failure, url: this.url })
      }
    }
    return {
      append: (body) => attempt(() => writeFully(file, bodyPieces(body))),
      sync: () => attempt(() => file.datasync()),
      async [Symbol.asyncDispose]() {
        if (state === 'closed') return
        state = 'closed'
        await file.close()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Begins a file in `.staging`. After any failure it can only be discarded. */
  async #stage(key: string): Promise<StagedFile> {
    const failure = { action: 'Writing', object: key, url: this.url } as const
    const path = join(this.root, STAGING, stagingName(this.#identity))
    const file = await this.#guard(failure, async () => {
      await this.#prepareStaging()
      return await open(path, 'wx', FILE_MODE)
    })
    return stagedFile(file, { path, failure })
  }

  #prepareStaging(): Promise<void> {
    this.#stagingReady ??= (async () => {
      await ensureDirectory(join(this.root, STAGING), { root: this.root, known: this.#known })
      await cleanStaging(this.root)
    })().catch((error: unknown) => {
      this.#stagingReady = undefined
      throw error
    })
    return this.#stagingReady
  }

  async #link(stagedPath: string, key: string): Promise<boolean> {
    const path = pathOfKey(this.root, key)
    try {
      await this.#inDirectory(dirname(path), () => link(stagedPath, path))
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error
      // Whoever made it may not have synced the directory yet; the caller will rely on the object being there.
      await syncDirectory(dirname(path))
      return false
    }
    await syncDirectory(dirname(path))
    return true
  }

  async #rename(stagedPath: string, key: string): Promise<boolean> {
    const path = pathOfKey(this.root, key)
    await this.#inDirectory(dirname(path), () => rename(stagedPath, path))
    await syncDirectory(dirname(path))
    return true
  }

  /** Runs an action that needs a directory; once more when the directory that was known has been removed meanwhile. */
  async #inDirectory(directory: string, action: () => Promise<void>): Promise<void> {
    const options = { root: this.root, known: this.#known }
    const wasKnown = this.#known.has(directory)
    await ensureDirectory(directory, options)
    try {
      await action()
    } catch (error) {
      if (!wasKnown || systemErrorCode(error) !== 'ENOENT') throw error
      this.#known.clear()
      await ensureDirectory(directory, options)
      await action()
    }
  }

  async *#walk(
    directory: string,
    filter: { readonly prefix: string; readonly startAfter: string },
  ): AsyncGenerator<ObjectInfo> {
    const { prefix, startAfter } = filter
    const entries = await this.#guard({ action: 'Listing', object: directory || '/' }, async () => {
      const found = await sortedEntries(pathOfKey(this.root, directory))
      // Of a directory that is gone as a whole, unmounted or renamed, nobody may read that it is empty.
      if (found.length === 0) await stat(this.root)
      return found
    })
    const wanted = entries.filter((entry) => {
      const key = directory + entry.name
      if (!isKeySegment(entry.name) || key.startsWith('.')) return false
      if (!entry.isDirectory()) return key.startsWith(prefix) && key > startAfter
      // Everything below lies between `key/` and `key0` ('0' follows '/').
      return (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) && `${key}0` > startAfter
    })
    for (let index = 0; index < wanted.length; ) {
      const entry = wanted[index]
      if (entry?.isDirectory()) {
        yield* this.#walk(`${directory}${entry.name}/`, filter)
        index += 1
        continue
      }
      let end = index
      while (end < wanted.length && end - index < STAT_BATCH && !wanted[end]?.isDirectory()) end += 1
      const keys = wanted.slice(index, end).map((file) => directory + file.name)
      for (const info of await Promise.all(keys.map((key) => this.head(key)))) if (info) yield info
      index = end
    }
  }

  async #guard<T>(failure: Omit<StorageFailure, 'url'>, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (error) {
      throw storageError(error, { ...failure, url: this.url })
    }
  }
}

interface StagedFile {
  readonly path: string
  write(body: ObjectBody): Promise<void>
  /** Makes the content durable, then gives it its name. */
  finish(publish: () => Promise<boolean>): Promise<boolean>
  discard(): Promise<void>
}

function stagedFile(
  file: FileHandle,
  options: { readonly path: string; readonly failure: StorageFailure },
): StagedFile {
  const { path, failure } = options
  let state: 'open' | 'broken' | 'finished' | 'discarded' = 'open'
  const attempt = async <T>(action: () => Promise<T>): Promise<T> => {
    if (state !== 'open') throw brokenWriterError(failure.object, failure.url)
    try {
      return await action()
    } catch (error) {
      state = 'broken'
      throw storageError(error, failure)
    }
  }
  return {
    path,
    write: (body) => attempt(() => writeFully(file, bodyPieces(body))),
    finish: (publish) =>
      attempt(async () => {
        await file.sync()
        await file.close()
        const published = await publish()
        state = 'finished'
        // The name is given; a second name left in .staging costs nothing and is removed later.
        await unlink(path).catch(() => {})
        return published
      }),
    async discard() {
      if (state === 'finished' || state === 'discarded') return
      state = 'discarded'
      // Called while an error is on its way: it must not be hidden by a second one.
      await file.close().catch(() => {})
      await unlink(path).catch(() => {})
    },
  }
}

async function statOrUndefined(path: string): Promise<Stats | undefined> {
  return stat(path).catch(ignoreMissing)
}

function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}
