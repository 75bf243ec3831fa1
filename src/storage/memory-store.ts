import { assertKeyPrefix, assertObjectKey, bodyPieces, compareKeys } from './keys.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectAppender,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
} from './object-store.ts'
import { conflictError } from './storage-errors.ts'

/** Objects in memory, for tests and for trying things out. Durable for as long as the process lives. */
export function createMemoryStore(name = 'memory'): MemoryStore {
  return new MemoryStore(name)
}

export class MemoryStore implements ObjectStore {
  readonly url: string
  readonly #objects = new Map<string, Uint8Array>()

  constructor(name: string) {
    this.url = `memory:${name}`
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    assertObjectKey(key)
    const bytes = this.#objects.get(key)
    if (bytes === undefined || range === undefined) return bytes?.slice()
    return bytes.slice(range.offsetBytes, range.offsetBytes + range.lengthBytes)
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertObjectKey(key)
    const bytes = this.#objects.get(key)
    return bytes && { key, sizeBytes: bytes.length }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    assertKeyPrefix(prefix)
    const { startAfter } = options
    const keys = [...this.#objects.keys()].filter(
      (key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter),
    )
    for (const key of keys.sort(compareKeys)) {
      const bytes = this.#objects.get(key)
      if (bytes !== undefined) yield { key, sizeBytes: bytes.length }
    }
  }

  async create(key: string, body: ObjectBody): Promise<boolean> {
    assertObjectKey(key)
    if (this.#objects.has(key)) return false
    this.#objects.set(key, join(body))
    return true
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    assertObjectKey(key)
    const objects = this.#objects
    let pieces: Uint8Array[] | undefined = []
    return {
      async write(body) {
        if (pieces === undefined) throw new Error(`the writer of ${key} is closed`)
        pieces.push(join(body))
      },
      async commit() {
        if (pieces === undefined) throw new Error(`the writer of ${key} is closed`)
        const bytes = join(pieces)
        pieces = undefined
        if (objects.has(key)) return false
        objects.set(key, bytes)
        return true
      },
      async [Symbol.asyncDispose]() {
        pieces = undefined
      },
    }
  }

  async replace(key: string, body: ObjectBody): Promise<void> {
    assertObjectKey(key)
    this.#objects.set(key, join(body))
  }

  async delete(key: string): Promise<boolean> {
    assertObjectKey(key)
    return this.#objects.delete(key)
  }

  readonly openAppender = async (key: string): Promise<ObjectAppender> => {
    assertObjectKey(key)
    if (this.#objects.has(key)) throw conflictError(key, this.url)
    const objects = this.#objects
    let buffer = new Uint8Array(4096)
    let length = 0
    let open = true
    objects.set(key, buffer.subarray(0, 0))
    const assertOpen = () => {
      if (!open) throw new Error(`the appender of ${key} is closed`)
    }
    return {
      async append(body) {
        assertOpen()
        for (const piece of bodyPieces(body)) {
          if (length + piece.length > buffer.length) {
            const larger = new Uint8Array(Math.max(buffer.length * 2, length + piece.length))
            larger.set(buffer.subarray(0, length))
            buffer = larger
          }
          buffer.set(piece, length)
          length += piece.length
        }
        objects.set(key, buffer.subarray(0, length))
      },
      async sync() {
        assertOpen()
      },
      async [Symbol.asyncDispose]() {
        open = false
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Always a copy: the caller may reuse its buffers. */
function join(body: ObjectBody): Uint8Array {
  const pieces = bodyPieces(body)
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let offset = 0
  for (const piece of pieces) {
    bytes.set(piece, offset)
    offset += piece.length
  }
  return bytes
}
